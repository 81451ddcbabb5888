//! The list of all cases. A test sees to it that none is missing.

/// Hands every case, by concern, to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! every_case {
    ([$($then:tt)*] $given:tt) => {
        $($then)*! { $given
            queue_control {
                a_queue_says_how_it_stands
                a_queue_that_nobody_named_is_not_there
                a_paused_queue_lets_nothing_begin
                a_pause_says_who_and_why
                a_resumed_queue_goes_on
                a_raised_limit_counts_at_once
                a_lowered_limit_is_reached_by_draining
                a_start_does_not_undo_a_persons_limit
            }
            explaining {
                an_executor_says_what_it_registers
                what_an_executor_says_of_its_runs_stays_until_it_says_more
                who_has_lost_its_lease_says_nothing_more
                the_names_of_what_waits_are_told
                the_queue_of_a_workflow_is_seen_as_it_stands_for_that_one
                a_workflow_without_a_queue_has_none_to_be_seen
            }
            newer {
                an_unknown_state_keeps_nothing_from_being_read
                an_unknown_state_is_left_alone
                an_unknown_record_is_read_with_its_word
                a_row_that_cannot_be_read_is_set_aside_by_a_claim
                an_unknown_word_of_a_schedule_keeps_no_other_from_being_read
            }
            declarations {
                an_older_release_changes_nothing_of_a_newer_one
                a_newer_release_adopts_what_it_declares_alike
                an_older_release_counts_again_when_the_newer_one_is_gone
                a_release_keeps_its_place_in_the_order
                an_executor_that_has_ended_declares_nothing
                what_a_living_executor_declares_is_not_withdrawn
                an_older_release_withdraws_nothing_of_a_newer_one
                what_is_withdrawn_neither_ticks_nor_comes_back
                a_pause_outlives_a_withdrawal
                code_changes_nothing_that_a_client_has_defined
                a_tick_of_what_a_schedule_was_is_too_late
                the_newest_release_says_what_limits_a_queue_has
                a_queue_that_a_start_has_made_gets_the_limits_of_the_code
                limits_that_were_set_by_hand_stay_until_they_are_unset
                within_a_release_the_last_launch_counts
            }
            schedules {
                a_schedule_keeps_all_that_it_was_given
                a_schedule_that_is_told_again_keeps_its_next_tick
                a_schedule_that_changes_begins_anew
                a_client_cannot_change_a_schedule_of_the_code
                a_tick_starts_its_workflows_and_moves_on
                a_tick_that_somebody_else_saw_first_starts_nothing
                a_tick_that_is_handed_in_again_starts_nothing_twice
                a_tick_whose_workflow_is_there_moves_on
                a_tick_whose_id_other_work_has_is_started_beside_it
                a_tick_without_workflows_only_moves_on
                a_tick_can_start_in_a_queue
                a_pause_says_who_and_why
                a_paused_schedule_does_not_tick
                a_resumed_schedule_goes_on_from_its_next_tick
                a_removed_schedule_is_gone
                an_unknown_schedule_is_told_apart
            }
            starts {
                a_start_here_runs_at_once_in_its_executor a_start_anywhere_waits_for_an_executor
                an_executors_start_anywhere_is_not_its_own a_start_in_a_queue_waits_in_it
                a_start_keeps_all_that_it_was_given the_input_is_the_first_record
                a_second_start_finds_the_first_one a_start_of_another_executors_workflow_is_not_mine
                a_waiting_workflow_is_nobodys a_start_after_the_end_starts_nothing
                the_same_id_with_another_name_is_a_conflict
                the_same_id_with_another_input_is_a_conflict
                the_same_input_in_another_order_of_keys_is_no_conflict
                a_start_that_starts_nothing_writes_nothing a_delay_of_a_second_start_changes_nothing
                keys_grow a_second_start_in_the_same_batch_finds_the_first
                one_of_many_starts_at_once_is_new an_unknown_id_is_not_found
            }
            progress {
                a_record_comes_back_as_it_was_made an_error_comes_back_as_an_error
                an_operation_began_as_long_ago_as_it_took the_first_outcome_wins
                records_that_come_together_are_all_written
                if_the_first_record_is_there_none_is_written
                if_the_first_record_is_there_no_effect_happens
                failed_attempts_stand_beside_their_step
                progress_of_another_executors_workflow_is_refused progress_of_a_client_is_refused
                progress_of_a_waiting_workflow_is_refused progress_after_the_end_is_refused
                progress_of_a_stuck_workflow_is_refused a_conflict_undoes_its_whole_change
                a_conflict_says_which_id_it_is_about
            }
            finish {
                an_output_is_kept an_error_is_kept the_result_is_the_last_record
                an_end_has_its_time_and_its_executor a_failed_workflow_says_its_message
                a_stuck_workflow_has_a_reason_and_no_result
                a_running_workflow_has_no_result_yet a_cancelled_workflow_has_no_result
                an_unknown_key_has_no_result the_first_end_wins
                an_end_after_being_stuck_comes_too_late an_end_after_a_cancellation_comes_too_late
                an_end_of_another_executors_workflow_is_refused
                an_end_of_a_waiting_workflow_is_refused an_end_rides_with_the_last_record
                a_record_behind_the_end_of_its_batch_is_refused
            }
            alerts {
                an_alert_is_started_with_an_end an_end_that_comes_again_starts_nothing
                an_end_that_is_refused_starts_no_alert an_alert_that_is_refused_stops_no_end
                ends_of_a_batch_start_their_alerts
            }
            batches {
                every_change_is_answered_in_its_place a_change_sees_those_before_it
                a_refused_change_stops_no_other an_empty_batch_comes_to_nothing
                a_large_batch_is_answered_in_order an_executor_may_commit_requests_of_clients
                a_conflict_leaves_the_rest_of_its_batch_alone progress_follows_progress_in_one_batch
                a_child_makes_no_progress_behind_its_parents_cancellation
            }
            repeat {
                a_repeated_start_happens_once repeated_progress_happens_once
                a_repeated_end_happens_once a_repeated_send_happens_once
                a_repeated_cancellation_happens_once a_repeated_resumption_happens_once
                a_repeated_fork_happens_once a_repeated_batch_happens_once
                a_batch_whose_answer_was_lost_happens_once the_same_batch_at_once_happens_once
            }
            cancel {
                a_running_workflow_is_cancelled a_cancelled_workflow_is_not_claimed
                a_cancelled_delay_never_ends an_end_is_not_cancelled
                a_stuck_workflow_is_cancelled what_does_not_exist_is_not_cancelled
                a_lost_race_is_the_reason children_and_their_children_are_cancelled_with_it
                a_detached_child_goes_on a_child_that_has_ended_keeps_its_end
                a_parent_goes_on_without_its_child a_record_before_the_cancellation_stays
                a_record_after_the_cancellation_is_refused
                a_cancellation_in_a_batch_comes_in_its_place
                a_cancellation_and_an_end_at_once_have_one_winner
                a_grandchild_of_an_ended_child_is_cancelled
            }
            interrupts {
                an_executor_hears_of_a_cancellation_once
                a_cancelled_waiting_workflow_interrupts_nobody
                an_executor_hears_of_its_own_cancellation_although_the_answer_is_lost
                an_executor_hears_that_a_deadline_passed
                a_new_run_does_not_hear_of_the_last_ones_cancellation
                an_interrupt_waits_for_the_executor_that_lost_the_run
                a_child_is_cancelled_with_the_record_that_it_lost_by
                a_conflict_undoes_the_cancellation_beside_it
            }
            resume {
                a_cancelled_workflow_can_go_on a_resumed_workflow_keeps_its_history
                a_stuck_workflow_can_try_the_same_version_again a_dead_workflow_can_go_on
                a_workflow_can_go_on_after_its_deadline what_is_on_its_way_needs_no_resumption
                what_has_a_result_does_not_go_on what_does_not_exist_does_not_go_on
                a_resumed_workflow_waits_for_a_place_in_its_queue
                the_run_before_the_cancellation_is_over a_resumed_workflow_can_be_cancelled_again
            }
            fork {
                a_fork_waits_for_an_executor a_fork_has_the_history_before_its_position
                a_fork_from_the_start_has_only_the_input a_fork_from_behind_the_end_has_no_result
                a_fork_cuts_between_paths a_fork_leaves_its_source_alone
                a_fork_is_claimed_with_its_history an_id_that_is_taken_is_not_forked_to
                a_fork_is_found_by_the_same_fork_alone
                a_workflow_is_not_forked_onto_itself what_does_not_exist_is_not_forked
                a_fork_has_the_events_before_its_position a_fork_leaves_out_what_is_named
                a_fork_has_arguments_and_attributes_of_its_own
                a_fork_has_the_stream_before_its_position
            }
            messages {
                one_that_has_ended_receives_nothing_more a_resumed_workflow_receives_again
                a_message_that_is_lost_leaves_a_trace what_waits_is_listed_page_by_page a_message_is_dropped_once
                a_message_is_replaced_in_its_place a_message_waits_in_the_inbox messages_are_read_in_the_order_of_sending
                topics_are_apart inboxes_are_apart an_inbox_is_read_from_its_oldest_message
                an_inbox_is_read_up_to_so_many_bytes
                a_message_with_a_key_is_sent_once a_key_counts_for_its_receiver
                messages_without_a_key_are_all_sent a_key_is_sent_once_by_two_senders
                a_key_is_sent_once_by_many_senders_at_once a_message_to_nobody_is_not_kept
                a_workflow_learns_that_its_message_has_no_receiver
                a_received_message_leaves_the_inbox
                a_message_is_received_once a_message_to_another_workflow_cannot_be_received
                a_key_stays_used_after_the_receive a_workflow_can_send_to_itself
            }
            events {
                an_event_is_nothing_before_it_is_published an_event_can_be_read
                the_last_value_of_an_event_counts the_later_of_two_values_in_one_operation_counts
                a_repeated_operation_does_not_bring_an_old_value_back
                events_of_two_workflows_are_apart all_events_are_listed_by_name
                an_event_outlives_the_end
            }
            streams {
                a_stream_begins_empty the_offsets_of_a_stream_count_from_0 a_stream_is_read_in_pages
                a_stream_is_read_up_to_so_many_bytes
                values_of_one_operation_keep_their_order streams_are_apart
                a_repeated_operation_appends_nothing a_stream_outlives_the_end
                a_stream_goes_on_after_a_take_over
            }
            children {
                a_child_is_started_with_its_record a_child_may_wait_in_a_queue a_child_has_its_input
                a_repeated_operation_starts_no_second_child a_child_that_is_there_is_found
                outcomes_of_effects_come_in_their_order children_are_listed_oldest_first
                a_workflow_without_children_lists_none a_child_outlives_its_parents_end
            }
            attributes {
                an_operation_adds_an_attribute the_last_value_of_an_attribute_counts
                a_repeated_operation_sets_nothing a_search_sees_the_last_value
                attributes_outlive_the_end
            }
            follow {
                a_mark_says_how_far_a_workflow_is a_workflow_that_is_not_there_has_no_mark
                what_is_recorded_is_read_in_the_order_of_the_writing
                what_is_recorded_is_read_after_any_moment
                only_what_is_published_is_read_with_its_value
            }
            history {
                records_stand_in_the_order_of_their_places a_history_is_read_in_pages
                a_page_of_a_history_is_bounded_by_its_bytes
                a_history_is_read_after_any_place histories_are_apart an_unknown_key_has_no_history
                every_kind_of_record_is_kept a_long_history_is_whole a_history_outlives_the_end
            }
            lists {
                an_empty_database_lists_nothing the_newest_come_first a_list_shows_whole_rows
                a_filter_by_states_lets_any_of_them_through a_filter_by_name_is_exact
                a_filter_by_queue_lets_its_workflows_through
                a_filter_by_prefix_looks_at_the_beginning a_prefix_is_no_pattern
                a_prefix_may_be_of_any_characters a_filter_by_attribute_asks_for_name_and_value
                an_attribute_is_no_path
                a_filter_by_time_begins_at_one_instant_and_ends_before_another
                a_list_is_read_in_pages a_page_has_bounds every_condition_must_hold
            }
            dead_letters {
                dead_letters_are_grouped_by_what_they_have_in_common
                an_acknowledged_letter_is_in_no_group_and_keeps_its_note
                a_letter_is_acknowledged_once only_a_dead_letter_can_be_acknowledged
                a_letter_that_goes_on_is_acknowledged_no_more
                what_was_declined_has_failed_and_nobody_need_look_at_it
                a_list_may_be_of_letters_that_are_alike_and_new
                workflows_are_tallied_by_origin_name_and_state
            }
            delete {
                nothing_is_left_of_what_was_deleted only_what_is_at_rest_is_deleted
                what_is_stuck_ends_when_it_is_deleted a_later_one_of_the_id_is_not_deleted
                a_deleted_id_is_free what_is_gone_is_not_deleted
                children_stay_when_their_parent_is_deleted
            }
            second_tries {
                a_failed_letter_is_acknowledged_with_its_second_try
                a_stuck_letter_is_cancelled_with_its_second_try
                what_is_no_letter_any_more_is_not_tried_again
                a_letter_that_was_deleted_is_not_tried_again
            }
            nonces {
                a_workflow_keeps_its_nonce_to_its_end a_second_start_does_not_change_the_nonce
                a_deleted_id_comes_back_with_another_nonce a_fork_has_a_nonce_of_its_own
                a_later_sender_of_the_same_id_is_heard
            }
            claims {
                a_claim_brings_what_a_run_needs a_claim_says_where_it_came_from_and_when a_claimed_workflow_runs_in_its_executor
                a_workflow_is_claimed_once a_claim_takes_no_more_than_it_asks_for
                a_claim_takes_the_oldest_first an_unknown_name_is_not_claimed
                unknown_names_do_not_stand_in_the_way a_claim_takes_every_name_that_it_names
                a_claim_without_names_takes_nothing any_application_that_knows_the_name_may_claim
                a_retired_executor_claims_nothing a_dead_executor_claims_nothing
                claims_at_once_get_disjoint_work the_first_claim_is_when_it_started
                what_is_owned_can_be_asked_for
                the_keys_of_what_is_owned_can_be_asked_for what_was_handed_back_is_not_owned
            }
            queues {
                a_queue_without_limits_hands_out_everything a_queue_keeps_the_order
                a_limit_holds_until_a_workflow_ends a_cancelled_workflow_gives_up_its_place
                a_stuck_workflow_gives_up_its_place a_limit_holds_across_executors
                a_limit_for_each_executor_leaves_room_for_others the_tighter_limit_decides
                a_limit_of_0_hands_out_nothing a_limit_holds_for_claims_at_once
                a_full_queue_does_not_hold_up_another a_limit_counts_every_name_in_the_queue
                the_first_declared_limits_are_the_queues an_orphan_counts_until_it_is_taken_over
                an_orphan_counts_at_its_new_owner work_that_was_handed_back_waits_for_a_place
            }
            priorities {
                a_higher_priority_comes_first
                equal_priorities_keep_the_order
                waiting_counts_like_priority
                a_claim_takes_the_most_urgent
                a_priority_counts_across_names
                a_delay_counts_from_its_end
                work_that_was_handed_back_keeps_its_place
            }
            queue_keys {
                keys_share_a_queue
                a_free_place_goes_to_whoever_has_the_fewest
                keys_take_turns_at_a_single_place
                a_limit_of_a_key_holds
                a_limit_of_a_key_holds_for_those_without_one
                a_limit_of_a_key_holds_where_none_has_one
                an_orphan_counts_for_its_key
                keys_at_their_limit_hold_up_nobody
                what_was_stuck_takes_a_place_of_its_key
                a_fork_keeps_the_key
            }
            queue_rates {
                a_rate_counts_what_began
                a_rate_looks_back_from_each_moment
                a_rate_holds_across_executors
                a_rate_holds_for_claims_at_once
                a_rate_says_when_to_look_again
                a_rate_wakes_nobody_when_nothing_waits
                what_began_in_the_future_does_not_count
                what_began_is_forgotten_with_the_rate
            }
            queue_bounds {
                a_full_queue_refuses_more
                a_claim_makes_room
                what_was_started_is_found_in_a_full_queue
                the_first_start_of_a_batch_makes_its_queue
                a_batch_that_makes_room_fills_it
                a_fork_counts_for_its_batch
                a_batch_fills_a_queue_no_further
                starts_at_once_fill_a_queue_no_further
                a_child_is_let_in
                what_is_delayed_does_not_count
                a_persons_bound_counts
            }
            unique {
                a_start_joins_what_has_not_ended
                a_start_joins_what_is_stuck
                a_cancelled_one_is_joined_by_nobody
                other_keys_and_names_are_other_kinds
                a_start_that_joins_writes_nothing
                a_start_of_a_kind_finds_itself
                a_start_can_join_only_what_waits
                what_was_handed_back_does_not_wait
                a_start_can_be_refused
                a_start_can_be_the_only_one_for_a_time
                a_debounce_replaces_what_waits
                a_debounce_can_have_an_end
                a_debounce_leaves_alone_what_has_begun
                a_debounce_keeps_the_place_in_the_queue
                a_debounce_goes_on_in_a_full_queue
                a_repeated_replacement_happens_once
                starts_of_a_kind_at_once_make_one
                starts_of_a_kind_in_one_batch_make_one
                a_message_comes_with_a_start
                a_message_comes_to_the_one_that_is_joined
                a_repeated_start_sends_its_message_once
                a_refused_start_sends_nothing
            }
            delays {
                a_delayed_workflow_says_when_it_may_run
                a_delayed_workflow_is_not_claimed_before_its_time
                a_delayed_workflow_is_claimed_at_its_time a_delayed_start_here_is_nobodys
                a_delayed_workflow_goes_through_its_queue a_delayed_workflow_holds_no_place
                a_delay_of_nothing_is_over_at_once without_delays_there_is_no_next_wake
                the_earliest_delay_is_the_next_wake only_what_is_delayed_counts_for_the_next_wake
                a_delay_of_a_hundred_years_is_kept
            }
            deadlines {
                a_deadline_counts_from_the_start a_deadline_ahead_cancels_nothing
                a_workflow_without_a_deadline_is_never_due a_deadline_cancels_at_its_instant
                a_request_cancels_before_the_deadline a_deadline_cancels_children_too
                a_result_before_the_deadline_wins a_deadline_before_the_result_wins
                a_claim_cancels_what_is_past_its_deadline
                a_claim_cancels_the_children_of_what_is_past_its_deadline
                a_deadline_survives_a_take_over a_claim_does_not_hand_out_what_it_has_just_cancelled
                the_deadlines_of_what_nobody_runs_are_told
            }
            leases {
                a_registered_executor_is_known an_executor_that_registers_twice_is_one
                a_renewal_counts_from_now who_renews_in_time_stays_live
                a_late_renewal_counts_while_nobody_has_taken_over a_dead_executor_cannot_renew
                a_retired_executor_cannot_renew a_retired_executor_hands_its_work_back
                a_retired_executors_results_stay an_executor_can_retire_twice
                an_executor_that_left_nothing_is_not_shown a_silent_executor_with_work_is_shown
                a_zombies_batch_writes_nothing a_zombie_does_not_disturb_the_new_run
                a_retired_executors_batch_writes_nothing an_unknown_executors_batch_writes_nothing
                a_client_is_never_fenced
            }
            takeovers {
                nothing_is_taken_from_the_living the_work_of_a_dead_executor_waits_for_anybody
                a_workflow_says_who_ran_it_last a_second_take_over_finds_nothing
                an_idle_executor_dies_too several_dead_executors_are_taken_over_together
                a_take_over_goes_in_bounded_steps a_half_taken_over_executor_is_fenced
                only_running_workflows_are_taken_over another_application_takes_nothing_over
                a_dead_executor_takes_nothing_over take_overs_at_once_share_the_work
                a_gone_process_is_taken_over_at_once leases_have_lengths_of_their_own
                nobody_is_judged_by_time_in_which_the_database_did_not_answer
                a_look_that_waited_judges_as_of_when_it_was_asked
                a_lease_from_before_the_clock_was_set_back_is_over
            }
            recovery {
                a_recovered_workflow_has_its_history recoveries_are_counted
                progress_resets_the_count a_workflow_without_progress_dies
                a_dead_workflow_stays_dead the_dead_do_not_stand_in_the_way
                what_has_ended_is_not_recovered a_first_claim_is_no_take_over a_take_over_is_logged
                a_take_over_has_two_instants a_take_over_counts_what_is_replayed
                a_hand_back_is_logged take_overs_are_listed_oldest_first a_hand_back_is_no_recovery
            }
            stuck {
                the_same_version_does_not_try_again another_version_tries an_older_version_tries_too
                what_is_stuck_in_two_versions_rests another_version_must_know_the_name
                another_version_keeps_to_the_queues_limit a_stuck_workflow_is_not_taken_over
                a_resumption_forgets_the_versions another_version_tries_them_step_by_step
                a_name_that_is_learnt_later_is_tried
                a_stuck_workflow_is_untried_while_another_live_version_may_try_it
                who_may_not_know_the_name_is_waited_for_with_patience
            }
            processes {
                a_commit_is_seen_by_another_process a_new_process_finds_what_others_left
                processes_share_the_clock one_of_two_processes_starts_an_id
                claims_of_two_processes_keep_to_a_limit a_cancellation_reaches_another_process
                a_process_takes_over_from_another a_write_of_another_process_is_noticed_once
                news_name_the_workflow_that_has_changed news_say_that_there_is_work
                news_say_that_something_was_cancelled own_writes_are_no_news a_database_has_a_name_for_people the_clock_can_be_moved
            }
            parking {
                who_waits_for_what_is_deleted_is_woken a_parked_workflow_says_what_it_waits_for
                a_parked_workflow_is_claimed_at_its_time
                a_parked_workflow_may_wait_for_ever
                a_workflow_that_is_parked_again_is_parked
                a_parked_workflow_takes_nothing_of_its_run
                only_its_executor_parks_a_workflow
                a_workflow_in_a_queue_is_not_parked
                a_parked_workflow_is_cancelled_at_its_deadline
                a_parked_workflow_can_be_cancelled
                a_parked_workflow_is_not_resumed
                a_parked_workflow_outlives_its_executor
                many_are_parked_at_once
            }
            waking {
                a_message_wakes_a_parked_workflow
                a_message_of_a_workflow_wakes_a_parked_one
                a_message_that_is_sent_again_wakes_nobody
                a_message_that_is_there_keeps_a_workflow_running
                an_event_wakes_a_parked_workflow
                an_end_wakes_a_parked_workflow
                a_workflow_that_is_stuck_wakes_nobody
                the_first_of_several_wakes_a_parked_workflow
                a_start_joins_a_parked_workflow
                a_message_that_crosses_the_parking_is_not_slept_through
                what_crosses_the_parking_is_not_slept_through
            }
            bounds {
                a_payload_of_a_megabyte_is_kept a_payload_with_nul_is_kept
                a_payload_of_any_characters_is_kept a_payload_keeps_its_text
                a_payload_of_the_greatest_depth_is_kept ids_of_any_characters_are_apart
                an_id_of_255_bytes_is_kept_whole names_of_255_bytes_are_kept_whole
                a_record_without_a_name_is_kept the_largest_numbers_are_kept a_deep_position_is_kept
                a_long_reason_is_kept_whole a_thousand_effects_of_one_operation_happen
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    macro_rules! names {
        (() $($module:ident { $($case:ident)* })*) => {
            [$($((stringify!($module), stringify!($case)),)*)*]
        };
    }

    /// Every `pub async fn` that begins a line of the crate, with its module's name.
    fn written() -> BTreeSet<(String, String)> {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut cases = BTreeSet::new();
        for entry in fs::read_dir(src).expect("the sources are here") {
            let path = entry.expect("the sources are here").path();
            let module = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned());
            let text = fs::read_to_string(&path).unwrap_or_default();
            let names = text
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn "));
            for (module, name) in module.iter().cycle().zip(names) {
                let end = name.find('(').expect("a function has parameters");
                cases.insert((module.clone(), name[..end].to_owned()));
            }
        }
        cases.remove(&("run".to_owned(), "run".to_owned()));
        cases
    }

    #[test]
    fn every_case_is_in_the_list_once() {
        let listed = every_case! { [names] () };
        let unique: BTreeSet<_> = listed
            .iter()
            .map(|(module, case)| ((*module).to_owned(), (*case).to_owned()))
            .collect();
        assert_eq!(unique.len(), listed.len());
        assert_eq!(unique, written());
    }
}
