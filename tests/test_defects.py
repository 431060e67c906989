"""Defects of nanochat and its forks, and the tests that fail where one of them is put into this code.

The numbers of the first table are those of a list of nanochat's weaknesses, which was made by reading and running it.
What has no counterpart here says why, in place of tests.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

R, S, W = "tests/runtime", "tests/stages", "tests/web"

# number: (what was wrong, tests); or (what was wrong, why it cannot be here)
LISTED: dict[int, tuple[str, tuple[str, ...] | str]] = {
    1: (
        "conversations longer than a row are never placed, and tuning stands still on padding",
        (
            f"{R}/test_conversations.py::test_a_conversation_that_is_longer_than_a_row_loses_its_end_and_trains_on",
        ),
    ),
    2: (
        "FLOPs are counted from modules, which fp8 replaces",
        (
            f"{S}/training/test_float8.py::test_what_is_multiplied_in_8_bits_is_what_was_counted",
            f"{S}/training/test_float8.py::test_flops_are_those_of_a_run_in_bfloat16",
        ),
    ),
    3: (
        "an fp8 recipe is offered that always raises",
        (
            f"{S}/training/test_float8.py::test_every_word_of_the_setting_trains",
            f"{S}/preflight/test_checks.py::test_float8_is_asked_of_a_device_that_has_it",
        ),
    ),
    4: (
        "a forward pass over one token is refused",
        ("tests/specs/test_decoding.py::test_a_token_alone_is_the_begin_of_a_longer_text",),
    ),
    5: (
        "a prompt read in chunks is wrong where a chunk begins",
        (
            "tests/specs/test_decoding.py::test_cached_decoding_is_the_full_forward",
            f"{R}/decoding/test_engine.py::test_unequal_prompts_that_join_midway_are_the_full_forward",
        ),
    ),
    6: (
        "code that exits before its tests has passed them",
        (f"{S}/sandbox/test_hostile.py::test_no_pass_is_forged",),
    ),
    7: (
        "checkpoints of last year's model cannot be read, or are read as another model",
        (
            f"{S}/models/test_artefact.py::test_another_number_in_an_equation_comes_back_with_the_model",
            f"{S}/models/test_artefact.py::test_a_compiler_that_would_compute_something_else_is_refused",
        ),
    ),
    8: (
        "the calculator takes commas out of texts",
        (f"{R}/chat/test_calculator.py::test_answers_are_printed_as_python_prints_them",),
    ),
    9: (
        "steps of tuning are micro-batches, and one is lost",
        (f"{S}/training/test_tuning.py::test_steps_are_those_of_the_optimizer_and_not_micro_batches",),
    ),
    10: (
        "tuning on shorter rows changes the model's context and windows",
        (f"{S}/training/test_tuning.py::test_rows_of_another_length_leave_the_model_what_it_was",),
    ),
    11: (
        "the optimizer's state is in shards, each of a rank, and serves no other number of ranks",
        (
            f"{R}/test_optimizer.py::test_the_state_is_whole_from_the_start_and_lies_by_path",
            f"{R}/test_loader.py::test_a_state_serves_another_number_of_rows",
        ),
    ),
    12: (
        "a sweep reads lines that training no longer prints, and takes one batch size for granted",
        (
            f"{S}/reporting/test_scaling.py::test_models_of_several_sizes_stand_in_one_table",
            f"{S}/runfile/test_rehearsal.py::test_sizes_that_a_stage_sets_stay_apart",
        ),
    ),
    13: (
        "comments and help tell defaults that have changed",
        (
            "tests/test_reference.py::test_tables_are_written_from_the_code",
            "tests/test_readme.py::test_commands_print_what_is_shown",
        ),
    ),
    14: (
        "a tool offers a stage that is gone and lacks one that is there; some checkpoints do not know their step",
        (
            f"{S}/test_catalogue.py::test_every_stage_that_trains_leaves_a_model_that_others_may_read",
            f"{S}/training/test_tuning.py::test_a_tuned_model_says_how_many_steps_it_has_made",
            f"{S}/test_road.py::test_each_stage_leaves_a_model_and_what_it_found",
        ),
    ),
    15: (
        "packages are used and not declared, or declared and not used",
        (
            "tests/test_architecture.py::test_every_package_that_is_imported_is_declared_and_every_declared_one_imported",
        ),
    ),
    16: (
        "a layer with a window makes a mask of the whole row, each its own",
        "still so here, in training and without a past: torch has no kernel for windows, and masks shared by layers "
        "brought a twentieth",
    ),
    17: (
        "long prompts of CORE go past the context",
        (f"{S}/evaluating/test_core_run.py::test_prompts_are_cut_to_the_context_and_counted",),
    ),
    18: (
        "an evaluation goes round a validation split that is too short",
        (
            f"{R}/test_loader.py::test_validation_is_the_same_each_time_and_ends",
            f"{R}/test_loader.py::test_validation_counts_every_token_that_fits",
        ),
    ),
    19: (
        "later stages lose the transfer of rates over batch sizes, and cannot be resumed",
        (
            f"{S}/training/test_recipe.py::test_a_later_stage_keeps_the_transfer_over_batch_sizes",
            f"{S}/training/test_tuning.py::test_rates_follow_the_batch_of_the_stage",
            f"{S}/test_road.py::test_a_killed_stage_ends_as_if_it_had_not_been",
        ),
    ),
    20: (
        "micro-batches count alike, however many of their tokens are learnt",
        (
            f"{R}/test_training.py::test_the_loss_is_over_the_tokens_of_the_step_however_they_are_cut",
            f"{R}/test_rollouts.py::test_the_gradient_is_that_of_the_formula_however_samples_are_cut",
        ),
    ),
    21: (
        "rows that have ended are computed on, and one pass more than is needed",
        (f"{R}/decoding/test_engine.py::test_what_has_ended_is_not_computed_and_no_pass_is_for_nothing",),
    ),
    22: ("several processes need CUDA", "one process trains, on any device; several are not there yet"),
    23: (
        "tokenizer and checkpoints are pickles, and nothing that is fetched is checked",
        (
            "tests/test_architecture.py::test_no_pickle_is_written_or_read",
            f"{R}/test_published.py::test_pickles_are_not_opened_here",
            f"{R}/test_checkpoint.py::test_a_flipped_byte_anywhere_is_refused_and_the_save_before_is_used",
            f"{S}/data/test_place.py::test_a_known_file_that_is_another_is_refused",
        ),
    ),
    24: (
        "numbers of the model stand in its code alone, and no checkpoint tells them",
        (f"{S}/models/test_artefact.py::test_another_number_in_an_equation_comes_back_with_the_model",),
    ),
    25: (
        "every choice of a document looks at all that wait",
        (f"{R}/test_packing.py::test_a_choice_takes_no_more_steps_among_many",),
    ),
    26: (
        "validation text is encoded anew each time; the saved place is that of a batch which was not yet learnt",
        (
            f"{S}/test_pretrain.py::test_validation_text_is_encoded_once_for_all_evaluations",
            f"{R}/test_batches.py::test_held_batches_are_made_once_and_are_the_same_each_time",
            f"{R}/test_training.py::test_a_resumed_run_is_the_straight_run_bit_for_bit",
        ),
    ),
    27: (
        "the loader hangs where the corpus ends",
        (
            f"{R}/test_loader.py::test_training_goes_through_the_corpus_again_and_again",
            f"{R}/test_loader.py::test_a_corpus_without_text_is_a_fault_and_not_a_hang",
        ),
    ),
    28: (
        "the validation shard is the last that was fetched; the tokenizer is made while shards come",
        (
            f"{S}/data/test_shards.py::test_the_pinned_shard_validates_where_it_is_here",
            f"{S}/data/test_shards.py::test_without_the_pinned_shard_no_other_takes_its_place",
            f"{R}/test_corpus.py::test_the_split_of_a_document_does_not_depend_on_the_others",
        ),
    ),
    29: (
        "a rank may save before there is a folder",
        (f"{R}/test_checkpoint.py::test_a_first_save_makes_its_folders",),
    ),
    30: (
        "saves are ordered as texts",
        (f"{R}/test_checkpoint.py::test_steps_beyond_a_million_are_newer_still",),
    ),
    31: (
        "midtraining saves the first rank's part of the optimizer's state",
        (
            f"{R}/test_optimizer.py::test_the_state_is_whole_from_the_start_and_lies_by_path",
            f"{S}/test_road.py::test_a_killed_stage_ends_as_if_it_had_not_been",
        ),
    ),
    32: (
        "all samples of a prompt begin with one token",
        (
            f"{R}/decoding/test_engine.py::test_samples_of_a_prompt_are_independent_and_can_be_more_than_there_are_rows",
            f"{R}/decoding/test_sampling.py::test_seeds_samples_and_positions_each_draw_anew",
        ),
    ),
    33: (
        "made-up test questions are training questions",
        (f"{S}/tasks/test_made_up.py::test_no_test_question_is_a_training_question",),
    ),
    34: (
        "gradients are clipped before they are summed over ranks",
        "nothing is clipped, and there are no ranks",
    ),
    35: (
        "a file that is missing is a warning and no rows; a page that says so is taken for the file",
        (
            f"{S}/tasks/test_mixture.py::test_what_is_missing_is_told_before_anything_runs",
            f"{S}/tasks/test_conversations.py::test_a_file_that_is_not_there_is_a_fault",
            f"{S}/data/test_place.py::test_a_broken_file_an_empty_one_and_another_one_are_faults",
        ),
    ),
    36: (
        "an answer holds up the server, and replicas wait for each other",
        (f"{W}/test_replica.py::test_a_step_that_takes_long_holds_up_neither_the_loop_nor_another_replica",),
    ),
    37: (
        "the page loses tokens where the network cuts a line; messages are taken for others; the limit is fixed",
        (
            f"{W}/page/test_modules.py::test_events_are_read_wherever_the_network_cuts_them",
            f"{W}/page/test_page.py::test_an_edited_question_is_sent_anew_and_the_old_one_is_a_version",
            f"{W}/page/test_page.py::test_commands_set_and_tell_and_are_not_sent",
            f"{W}/page/test_page.py::test_settings_are_sent_kept_and_put_back",
        ),
    ),
    38: (
        "anyone may ask, and any page",
        (
            f"{W}/test_guard.py::test_a_token_is_asked_for",
            f"{W}/test_guard.py::test_pages_of_other_origins_cost_nothing",
            f"{W}/test_serving.py::test_an_address_that_others_reach_needs_a_token",
        ),
    ),
}

# what is wrong besides, there or in forks
OTHERS: dict[str, tuple[str, ...]] = {
    "the user's words are learnt in SFT": (
        f"{R}/chat/test_conversation.py::test_the_assistant_learns_its_text_its_calls_and_its_end",
        f"{S}/test_road.py::test_midtraining_learns_every_token_and_sft_what_the_assistant_writes",
    ),
    "a short run never reaches the full rate, or never its end": (
        "tests/nanogen/optimizer/test_settle.py::test_a_short_run_reaches_the_full_rate_and_the_end",
        "tests/nanogen/optimizer/test_settle.py::test_momentum_falls_with_the_rates_however_short_the_run",
        f"{S}/training/test_recipe.py::test_tuning_of_2025_falls_from_start_to_end_at_a_fixed_momentum",
    ),
    "the end of an answer is never learnt in RL": (
        f"{R}/test_rollouts.py::test_rollouts_keep_the_id_that_ended_them",
        f"{R}/test_rollouts.py::test_prompts_and_what_a_tool_wrote_are_no_targets_and_the_last_id_is",
    ),
    "a parameter that is forgotten at the start keeps what was in memory": (
        f"{R}/test_initialization.py::test_the_laws_that_a_spec_leaves_unsaid",
        f"{R}/test_model.py::test_a_blueprint_of_another_source_is_refused",
    ),
    "a convolution forgets what came before when it decodes": (
        "tests/test_golden.py::test_greedy_tokens_by_full_forward_and_by_cached_decoding",
        "tests/specs/test_decoding.py::test_cached_decoding_is_the_full_forward",
    ),
    "of a JSON file of conversations one is read": (
        f"{S}/tasks/test_conversations.py::test_a_json_file_is_read_whole_and_in_every_row",
    ),
    "a corpus that is too small makes a smaller vocabulary in silence": (
        f"{R}/test_tokenizer.py::test_too_little_text_is_a_fault_that_names_what_was_reached",
    ),
    "bytes of tokens are counted after decoding": (
        f"{R}/test_tokenizer.py::test_token_bytes_count_the_bytes_of_the_text",
    ),
    "a mean over fewer tasks is told as if it were over all": (
        f"{S}/evaluating/test_core_run.py::test_core_is_the_mean_over_what_was_run_and_says_so",
        f"{S}/test_road.py::test_a_task_that_cannot_be_run_is_told_as_such_and_never_0",
    ),
    "the report leaves out a stage": (
        f"{S}/test_road.py::test_the_report_has_a_column_for_each_state_of_the_model",
    ),
    "rollouts and gradients of a looped model turn it differently often": (
        f"{S}/test_road.py::test_a_step_of_rl_answers_and_learns_at_the_same_dials",
    ),
    "FLOPs of a looped model leave out how far gradients go back": (
        "tests/nanogen/test_lowering.py::test_flops_and_state_are_proven_wherever_a_dial_stands",
        f"{S}/test_pretrain.py::test_flops_are_counted_where_the_dials_stood",
    ),
    "memory grows with every new length of a prompt": (
        f"{R}/decoding/test_prepack.py::test_prompts_of_all_lengths_share_few_kernels",
        f"{S}/test_evaluate_chat.py::test_choices_are_scored_before_the_model_is_laid_out_for_writing",
    ),
}

NAMED = [
    (str(number), test)
    for number, (_, tests) in LISTED.items()
    if not isinstance(tests, str)
    for test in tests
]
NAMED += [(what, test) for what, tests in OTHERS.items() for test in tests]


@cache
def functions(file: str) -> set[str]:
    """Tests of a file, by name."""
    return {
        node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)
    }


def test_every_number_of_the_list_has_its_tests_or_a_reason():
    assert list(LISTED) == list(range(1, 39))
    assert all(what and how for what, how in LISTED.values())
    assert all(OTHERS.values())


@pytest.mark.parametrize(("of", "test"), NAMED)
def test_every_test_that_is_named_is_there(of: str, test: str):
    file, _, name = test.partition("::")
    assert name.startswith("test_"), of
    assert name in functions(file), of
