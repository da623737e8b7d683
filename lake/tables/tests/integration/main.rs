//! The contract of the tables, held against every store that a lake can be on.
//!
//! `bed` makes a fresh lake in memory, on disk or on MinIO, and `rows` fills it. The cases in `creating`, `committing`,
//! `rivals`, `cleaning`, `vacuum`, `foreign`, `files`, `tags` and `deltalake_view` run on all three; their names say what holds.
//! `ambiguity` and `contention` use a store in memory, with faults (`faults`) and with rivals; `statistics` and `kinds`
//! draw rows at random. `docs/commit-protocol.md` names the case of each interleaving.
//!
//! The cases on MinIO need the settings that `scripts/stack.sh up minio` writes.

#![allow(clippy::unwrap_used)]

mod ambiguity;
mod bed;
mod cleaning;
mod committing;
mod contention;
mod creating;
mod deltalake_view;
mod encodings;
mod files;
mod foreign;
mod groups;
mod kinds;
mod neighbours;
mod rivals;
mod rows;
mod statistics;
mod tags;
mod vacuum;

/// Makes a test of every case for every store.
macro_rules! on_every_store {
    ($($module:ident::$case:ident;)+) => {
        on_every_store!(@store memory $($module::$case;)+);
        on_every_store!(@store disk $($module::$case;)+);
        on_every_store!(@store minio $($module::$case;)+);
    };
    (@store $store:ident $($module:ident::$case:ident;)+) => {
        mod $store {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$module::$case(crate::bed::Bed::$store()).await;
                }
            )+
        }
    };
}

on_every_store! {
    creating::of_two_creators_one_creates_and_both_have_the_same_table;
    creating::a_table_that_is_not_there_is_named_with_the_remedy;
    creating::a_table_deleted_under_a_follower_is_noticed;
    creating::a_table_made_anew_under_an_old_state_is_a_conflict;
    creating::a_table_of_an_earlier_release_names_its_columns_with_bounds_from_then_on;
    creating::offsets_of_another_pipeline_are_refused_though_no_property_names_it;
    creating::a_table_of_another_pipeline_is_left_as_it_is;
    creating::a_lake_that_holds_nothing_is_made_that_of_another_zone_and_topic;
    creating::a_lake_that_holds_anything_stays_its_pipelines;
    creating::a_renamed_pipeline_goes_on_and_its_former_name_is_refused_and_fenced;
    creating::a_table_without_kafkas_ids_is_given_them_and_refuses_another_topic;
    groups::each_lake_has_a_group_of_its_own_that_stays;
    groups::a_lake_of_a_release_without_ids_keeps_its_group;
    groups::a_group_that_is_named_is_never_changed;
    committing::an_append_is_followed_by_another_log;
    committing::a_long_way_behind_is_caught_up_in_order;
    committing::a_taken_version_is_a_conflict_on_a_refreshed_state_and_the_same_files_commit_again;
    committing::removed_files_are_gone_and_files_are_found_by_their_day;
    committing::transactions_are_read_back_the_last_one_of_each;
    committing::a_commit_says_what_it_is;
    committing::a_rearranging_commit_changes_no_data;
    rivals::concurrent_commits_are_each_in_exactly_one_version;
    rivals::of_two_writers_of_a_partition_one_wins_each_step_and_every_offset_lands_once;
    cleaning::a_checkpointed_and_cleaned_log_adds_up_to_the_state_that_was_followed;
    cleaning::a_property_is_changed_in_a_log_whose_creation_is_cleaned_away;
    cleaning::a_checkpoint_of_several_parts_is_read;
    cleaning::a_missed_checkpoint_is_made_up_for;
    cleaning::cleaners_at_once_do_not_stumble_over_one_another;
    cleaning::a_log_is_opened_while_it_is_checkpointed_and_cleaned;
    cleaning::a_missing_entry_in_the_middle_is_an_error;
    cleaning::entries_stay_for_the_longer_of_the_retentions;
    cleaning::an_old_state_is_loaded_anew_before_it_is_followed;
    cleaning::a_zombie_does_not_write_into_a_hole;
    cleaning::an_old_state_that_is_the_newest_commits;
    cleaning::a_hole_is_noticed_even_if_the_clock_stands_still;
    vacuum::a_writer_suspended_before_its_commit_does_not_name_a_file_that_vacuum_may_have_taken;
    vacuum::files_that_are_uploaded_after_the_announced_instant_are_committed;
    vacuum::an_announcement_outlives_the_entry_that_holds_it;
    foreign::an_upgraded_protocol_is_refused_with_a_clear_error;
    foreign::percent_encoded_paths_are_understood_and_removed_as_they_were_spelled;
    foreign::an_empty_entry_is_an_error;
    foreign::a_file_without_statistics_has_them_from_its_footer_in_every_way_of_reading;
    foreign::a_file_whose_footer_cannot_be_read_is_refused_with_its_path_and_the_remedy;
    files::rows_of_every_table_are_read_back_as_they_were_written;
    files::a_file_of_several_parts_is_read_back;
    deltalake_view::deltalake_sees_the_tables_as_the_contract_has_them;
    tags::tags_are_in_the_log_in_checkpoints_and_in_deltalakes_view;
    tags::nothing_depends_on_the_name_of_a_file;
    deltalake_view::deltalake_sees_the_files_and_transactions_of_the_state;
}
