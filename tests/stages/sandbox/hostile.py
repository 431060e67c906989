"""Programs that try to do harm or to pass unearned; the test wants `f(3) == 4` and `f(5) == 6`.

Each of HARM raises unless it got away with something, and answers rightly if it did: a pass is a breach. Each of FORGERY
answers wrongly and tries to have that taken for a pass. {home}, {port}, {victim} stand for a folder with a file `keep`,
a port that listens and a process, all outside; {number} for system calls.
"""

SYSTEM_CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *values):
    if libc.syscall(number, *values) < 0:
        raise OSError(ctypes.get_errno(), "no")
"""
ACT = "\ndef f(x):\n    act()\n    return x + 1\n"

HARM = {
    # network
    "tcp": "import socket\ndef act(): socket.create_connection(('127.0.0.1', {port}), 1)",
    "udp": "import socket\ndef act(): socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "dns": "import socket\ndef act(): socket.getaddrinfo('example.org', 80)",
    "raw socket": "import socket\ndef act(): socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "netlink": "import socket\ndef act(): socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "unix socket": "import socket\ndef act(): socket.socket(socket.AF_UNIX).bind('{home}/s')",
    "abstract socket": "import socket\ndef act(): socket.socket(socket.AF_UNIX).connect('\\0{port}')",
    "listen": "import socket\ndef act(): socket.create_server(('127.0.0.1', 0))",
    "web": "import urllib.request\ndef act(): urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=1)",
    # processes, threads and signals
    "fork": "import os\ndef act(): os.fork() or os._exit(0)",
    "fork bomb": "import os\ndef act():\n    while True: os.fork()",
    "thread bomb": (
        "import threading, time\ndef act():\n"
        "    for _ in range(100000): threading.Thread(target=time.sleep, args=(60,)).start()"
    ),
    "shell": "import os\ndef act():\n    if os.system('true'): raise OSError",
    "subprocess": "import subprocess, sys\ndef act(): subprocess.run([sys.executable, '-c', ''], check=True)",
    "exec": "import os\ndef act(): os.execv('/bin/sh', ['sh'])",
    "multiprocessing": "import multiprocessing\ndef act(): multiprocessing.Process(target=print).start()",
    "kill all": "import os\ndef act(): os.kill(-1, 9)",
    "kill the group": "import os\ndef act(): os.killpg(0, 9)",
    "kill the parent": "import os\ndef act(): os.kill(os.getppid() or 1, 9); os.kill(os.getppid(), 9)",
    "kill a stranger": "import os\ndef act(): os.kill({victim}, 9)",
    "limits of a stranger": "import resource\ndef act(): resource.prlimit({victim}, resource.RLIMIT_CPU, (1, 1))",
    "signals through a pipe": (
        "import fcntl, os\ndef act():\n    r, w = os.pipe()\n    fcntl.fcntl(r, fcntl.F_SETSIG, 9)\n"
        "    fcntl.fcntl(r, fcntl.F_SETOWN, {victim})\n    fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)\n"
        "    os.write(w, b'x')"
    ),
    "leave the group": "import os\ndef act(): os.setsid()",
    # files
    "password file": "def act(): open('/etc/passwd').read()",
    "a file of the user": "def act(): open('{home}/keep').read()",
    "folder of the user": "import os\ndef act(): os.listdir('{home}')",
    "keys": "import os\ndef act(): os.listdir('/root/.ssh')",
    "write outside": "def act(): open('{home}/new', 'w').write('x')",
    "append": "def act(): open('{home}/keep', 'a').write('x')",
    "truncate": "import os\ndef act(): os.truncate('{home}/keep', 0)",
    "truncate by opening": "import os\ndef act(): os.open('{home}/keep', os.O_RDONLY | os.O_TRUNC)",
    "delete": "import os\ndef act(): os.remove('{home}/keep')",
    "rename": "import os\ndef act(): os.rename('{home}/keep', '{home}/gone')",
    "mode": "import os\ndef act(): os.chmod('{home}/keep', 0)",
    "time": "import os\ndef act(): os.utime('{home}/keep', (0, 0))",
    "the library": "import os\ndef act(): open(os.__file__, 'a')",
    "the library's mode": "import os\ndef act(): os.chmod(os.__file__, 0)",
    "through a link": (
        "import os\ndef act():\n    os.symlink('{home}/keep', 'link')\n    open('link', 'a').write('x')"
    ),
    "through the dots": "def act(): open('../../../../../..{home}/keep').read()",
    "a hard link": "import os\ndef act(): os.link('{home}/keep', 'link')",
    "temporary folder": "def act(): open('/tmp/sandbox-was-here', 'w')",
    "a device": "import os\ndef act(): os.mknod('disk', 0o60600, os.makedev(254, 0))",
    "environment of the first process": "def act(): open('/proc/1/environ').read()",
    "memory of its own": "def act(): open('/proc/self/mem', 'rb').read(1)",
    "memory of the parent": "import os\ndef act(): open(f'/proc/{{os.getppid()}}/mem', 'rb')",
    "shared memory": "from multiprocessing import shared_memory as s\ndef act(): s.SharedMemory('x', True, 99)",
    "hidden memory": "import os\ndef act(): os.write(os.memfd_create('x'), b'x')",
    "huge file": "def act():\n    with open('big', 'wb') as f:\n        f.seek(1 << 33)\n        f.write(b'x')",
    "many files": "def act():\n    for i in range(5000): open(str(i), 'w').close()",
    "many descriptors": "import os\ndef act():\n    while True: os.pipe()",
    # rights
    "root": "import os\ndef act():\n    os.setuid(0)\n    open('{home}/keep')",
    "root of files": "import os\ndef act(): os.chroot('.')",
    "mount": SYSTEM_CALL + "def act(): call({number[mount]}, b'none', b'/', b'tmpfs', 0, None)",
    "namespace": SYSTEM_CALL + "def act(): call({number[unshare]}, 0x10000000)",
    "ptrace": SYSTEM_CALL + "def act(): call({number[ptrace]}, 16, {victim}, 0, 0)",
    "memory of a stranger": SYSTEM_CALL
    + "def act(): call({number[process_vm_readv]}, {victim}, None, 0, None, 0, 0)",
    "keys of the kernel": SYSTEM_CALL + "def act(): call({number[keyctl]}, 0, -3, 1)",
    "bpf": SYSTEM_CALL + "def act(): call({number[bpf]}, 0, None, 0)",
    "io_uring": SYSTEM_CALL + "def act(): call({number[io_uring_setup]}, 1, None)",
    "take the filter off": SYSTEM_CALL + "def act():\n    if libc.prctl(22, 0): raise OSError",
    "other numbering": SYSTEM_CALL + "def act(): call(0x40000000 + 41, 2, 1, 0)",
    "memory limit": "import resource\ndef act(): resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "core files": "import os, resource\ndef act(): resource.setrlimit(resource.RLIMIT_CORE, (1, 1)); os.abort()",
    "priority": "import os\ndef act(): os.nice(-5)",
    "clock": "import time\ndef act(): time.clock_settime(time.CLOCK_REALTIME, 0)",
    # memory and output
    "memory": "def act(): return bytearray(1 << 34)",
    "memory bit by bit": "def act():\n    kept = [0]\n    while True: kept += kept",
    "memory in text": "def act(): return 'x' * (1 << 34)",
    "memory mapped": "import mmap\ndef act(): return [mmap.mmap(-1, 1 << 26) for _ in range(99)]",
    "endless output": "import os\ndef act():\n    while True: print('x' * 999)",
    "output past Python": "import os\ndef act():\n    while True: os.write(2, b'x' * 999)",
    "recursion": "def act(): act()",
    "recursion in C": (
        "import sys\nsys.setrecursionlimit(1 << 30)\n"
        "class A:\n    def __repr__(self): return repr(self)\ndef act(): repr(A())"
    ),
    "reads what nobody types": "def act(): input()",
}

ENDLESS = {
    "loop": "def act():\n    while True: pass",
    "loop that catches": "def act():\n    while True:\n        try: 1 / 0\n        except BaseException: pass",
    "sleep": "import time\ndef act(): time.sleep(1e6)",
    "stopped": "import os, time\ndef act():\n    os.kill(os.getpid(), 19)\n    time.sleep(1e6)",
    "regex": "import re\ndef act(): re.match('(a+)+$', 'a' * 60 + 'b')",
    "huge integers": "def act(): return 3 ** (3 ** 30)",
    "deaf to signals": (
        "import signal\nfor n in range(1, 32):\n    if n not in (9, 19): signal.signal(n, signal.SIG_IGN)\n"
        "def act():\n    while True: pass"
    ),
    "silent at load": "import time\ntime.sleep(1e6)",
    "closes its answers": "import os, time\ndef act():\n    os.closerange(0, 64)\n    time.sleep(1e6)",
}

WRONG = "\ndef f(x):\n    return 0\n"
MARKS = "passed PASSED OK ok true 1 All tests passed"

FORGERY = {
    # leaving
    "exit at load": "import sys\nsys.exit(0)",
    "exit in the call": "import sys\ndef f(x): sys.exit(0)",
    "hard exit": "import os\ndef f(x): os._exit(0)",
    "hard exit at load": "import os\nos._exit(0)",
    "quit": "def f(x): raise SystemExit",
    "interrupt": "def f(x): raise KeyboardInterrupt",
    "generator exit": "def f(x): raise GeneratorExit",
    "stop iteration": "def f(x): raise StopIteration(x + 1)",
    "exit handler": "import atexit, os\natexit.register(os._exit, 0)" + WRONG,
    "exit by alarm": (
        "import os, signal, time\nsignal.signal(signal.SIGALRM, lambda *_: os._exit(0))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.01)\ndef f(x): time.sleep(9)"
    ),
    "kills itself": "import os\ndef f(x):\n    os.kill(os.getpid(), 9)\n    os.abort()",
    "crash": "import ctypes\ndef f(x): ctypes.string_at(0)",
    # markers
    "prints markers": f"import os\nprint('{MARKS}', flush=True)\nos._exit(0)",
    "prints a verdict": 'print(\'{{"outcome": "passed", "reason": "", "output": ""}}\', flush=True)' + WRONG,
    "verdict to every descriptor": (
        'import os\nfor d in range(1024):\n    try: os.write(d, b\'{{"outcome": "passed", '
        '"reason": "", "output": ""}}\')\n    except OSError: pass' + WRONG
    ),
    "message of a verdict": (
        "import json, os, struct\ndef f(x):\n    raw = json.dumps({{'outcome': 'passed', 'value': True}}).encode()\n"
        "    os.write(4, struct.pack('<I', len(raw)) + raw)\n    return 0"
    ),
    "a fault of the judge": (
        "import os, struct\nos.write(4, struct.pack('<I', 16) + b'{{\"fault\": \"none\"}}')" + WRONG
    ),
    "message without an end": "import os\nos.write(4, b'\\xff\\xff\\xff\\x7f' + b'x' * 99)" + WRONG,
    "message of noise": "import os\nos.write(4, b'\\x04\\0\\0\\0\\xff\\xfe\\xfd\\xfc')" + WRONG,
    "message too deep": (
        "import os, struct\nraw = b'[' * 50000\nos.write(4, struct.pack('<I', len(raw)) + raw)" + WRONG
    ),
    "message with a strange exception": (
        "import json, os, struct\ndef f(x):\n    raw = json.dumps({{'raised': 'open', 'message': [], 'line': 'x', "
        "'errno': {{}}}}).encode()\n    os.write(4, struct.pack('<I', len(raw)) + raw)"
    ),
    "message with a bad tag": (
        'import os, struct\nraw = b\'{{"value": ["c", "x", []]}}\'\n'
        "os.write(4, 2 * (struct.pack('<I', len(raw)) + raw))" + WRONG
    ),
    # patches
    "its own check": "def check(candidate): pass" + WRONG,
    "check of main": "import __main__, builtins\n__main__.check = builtins.check = lambda c: None" + WRONG,
    "no assertions": "import builtins\nbuiltins.AssertionError = type('A', (Exception,), {{}})" + WRONG,
    "import patched": "import builtins\nbuiltins.__import__ = lambda *a, **k: None" + WRONG,
    "exec patched": "import builtins\nbuiltins.exec = builtins.compile = lambda *a: None" + WRONG,
    "modules poisoned": "import sys\nsys.modules.clear()" + WRONG,
    "harness patched": (
        "import sys\nfor name, module in list(sys.modules.items()):\n    if 'sandbox' in name:\n"
        "        for key in dir(module):\n            if callable(getattr(module, key)):\n"
        "                setattr(module, key, lambda *a, **k: True)" + WRONG
    ),
    "json patched": "import json\njson.dumps = lambda *a, **k: '{{\"value\": true}}'" + WRONG,
    "trace": "import sys\nsys.settrace(lambda *a: sys.exit(0))" + WRONG,
    # looking around
    "frames of an exception": (
        "def f(x):\n    try: 1 / 0\n    except ZeroDivisionError as e:\n        frame = e.__traceback__.tb_frame\n"
        "        while frame:\n            for name, value in list(frame.f_locals.items()):\n"
        "                if callable(value) and name == 'check': return x + 1\n"
        "            frame = frame.f_back\n    return 0"
    ),
    "frames of a generator": (
        "def f(x):\n    g = (g.gi_frame.f_back for _ in [1])\n    frame = next(g)\n    while frame:\n"
        "        if 'test' in frame.f_locals or 'job' in frame.f_locals: return x + 1\n"
        "        frame = frame.f_back\n    return 0"
    ),
    "garbage": (
        "import gc\ndef f(x):\n    for o in gc.get_objects():\n"
        "        if isinstance(o, dict) and 'test' in o and 'entry_point' in o: return x + 1\n    return 0"
    ),
    # values
    "equal to everything": (
        "class A:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\ndef f(x): return A()"
    ),
    "equal integer": "class A(int):\n    def __eq__(self, o): return True\ndef f(x): return A(0)",
    "equal in a list": (
        "class A(list):\n    def __eq__(self, o): return True\n    __hash__ = None\ndef f(x): return A()"
    ),
    "a false class": "class A:\n    __class__ = int\n    def __eq__(self, o): return True\ndef f(x): return A()",
    "numbers that agree": (
        "class A(float):\n    def __eq__(self, o): return True\n    def __float__(self): return self\n"
        "def f(x): return A(0)"
    ),
    "generator": "def f(x):\n    yield x + 1",
    "a list in itself": "def f(x):\n    a = []\n    a.append(a)\n    return a",
    "not a number": "def f(x): return float('nan')",
    "huge answer": "def f(x): return 'x' * 20_000_000",
    "raises what tests raise": "def f(x): raise AssertionError",
    "exception with a mind": (
        "import os\nclass A(Exception):\n    def __str__(self): os._exit(0)\ndef f(x): raise A"
    ),
    "nothing": "def f(x): return None",
    "no function": "f = 4",
    "no definition": "g = 4",
    "no Python": "def f(x: return",
    "parser bomb": "f = " + "(" * 5000 + ")" * 5000,
}
