"""What tests of commands share: the command line as people call it."""

import pytest

from nanogen.cli import main


@pytest.fixture
def call(capsys, monkeypatch):
    """A function from arguments to exit code, output and error output."""

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["nanogen", *args])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(stop.value.code or 0), out, err

    return run
