//! Sequences that have happened on real machines, step by step.

use std::time::Duration;

use super::{Action, Event, Failure, Inode, LINGER, LOOK_PATIENCE, Look, Moment, ProcessKey, Sight, State};
use crate::files::FileIdentity;

const FILE: Inode = Inode { dev: 1, ino: 10 };
const OTHER: Inode = Inode { dev: 1, ino: 20 };
const START: Moment = Moment::from_secs(100);

fn content(number: u64) -> FileIdentity {
    FileIdentity::numbered(number)
}

fn sight(file: Inode, started: u64, image: u64) -> Sight {
    Sight { started, image, file, content: content(0) }
}

/// A machine in which answers are given by hand.
#[derive(Default)]
struct Desk {
    state: State,
    now: Moment,
    /// Of the last question of each kind.
    ticket: u64,
    attempt: u64,
    generation: u32,
}

impl Desk {
    fn on(&mut self, event: Event) -> Vec<Action> {
        let actions = self.state.on(START + self.now, event);
        for action in &actions {
            match action {
                Action::Look { ticket, .. } => self.ticket = *ticket,
                Action::Attach { attempt, .. } => self.attempt = *attempt,
                Action::Configure { generation, .. } => self.generation = *generation,
                _ => {}
            }
        }
        actions
    }

    fn runs(&mut self, pid: u32, sight: Sight) -> Vec<Action> {
        self.on(Event::Executed(pid));
        let ticket = self.ticket;
        self.on(Event::Looked { pid, ticket, look: Look::Runs(sight) })
    }

    fn planned(&mut self, file: Inode, result: Result<(), Failure>) -> Vec<Action> {
        self.on(Event::Planned { file, content: content(0), result })
    }

    fn attached(&mut self, file: Inode, lease: bool) -> Vec<Action> {
        let attempt = self.attempt;
        self.on(Event::Attached { file, attempt, lease })
    }

    fn detached(&mut self, file: Inode) -> Vec<Action> {
        let attempt = self.attempt;
        self.on(Event::Detached { file, attempt })
    }

    fn exited(&mut self, pid: u32, started: u64) -> Vec<Action> {
        self.on(Event::Exited(ProcessKey { pid, started }))
    }

    /// Process 1 of `FILE` is traced.
    fn traced(lease: bool) -> Self {
        let mut desk = Self::default();
        desk.runs(1, sight(FILE, 1, 1));
        desk.planned(FILE, Ok(()));
        let actions = desk.attached(FILE, lease);
        assert!(matches!(actions.as_slice(), [Action::Configure { generation: 1, .. }]), "{actions:?}");
        desk
    }
}

fn detaches(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Detach { .. }))
}

#[test]
fn a_program_that_executes_itself_while_it_is_planned_is_in_the_set_once() {
    let mut desk = Desk::default();
    desk.runs(1, sight(FILE, 1, 1));
    desk.runs(1, sight(FILE, 1, 2));
    desk.planned(FILE, Ok(()));
    desk.attached(FILE, false);
    assert_eq!(desk.state.traced(), 1);
    assert!(detaches(&desk.exited(1, 1)));
    assert_eq!(desk.detached(FILE), [Action::Close(FILE)]);
    assert!(desk.state.is_settled());
}

#[test]
fn a_process_that_cannot_be_configured_leaves_no_probes() {
    let mut desk = Desk::traced(false);
    let process = ProcessKey { pid: 1, started: 1 };
    let failure = Failure::Final("no room in the map".into());
    let actions = desk.on(Event::ConfigureFailed { process, generation: 1, failure });
    assert!(detaches(&actions), "{actions:?}");
    assert!(actions.contains(&Action::NotTraced { pid: 1, reason: "no room in the map".into() }));
}

#[test]
fn a_plan_for_a_process_that_runs_another_file_by_now_attaches_nothing() {
    let mut desk = Desk::default();
    desk.runs(1, sight(FILE, 1, 1));
    desk.runs(1, sight(OTHER, 1, 2));
    assert_eq!(desk.planned(FILE, Ok(())), [Action::Close(FILE)]);
}

#[test]
fn a_refused_file_is_closed_and_stays_refused_until_its_content_changes() {
    let mut desk = Desk::default();
    desk.runs(1, sight(FILE, 1, 1));
    let actions = desk.planned(FILE, Err(Failure::Final("no Go".into())));
    assert!(actions.contains(&Action::Close(FILE)), "{actions:?}");
    let actions = desk.runs(2, sight(FILE, 2, 2));
    assert!(!actions.iter().any(|action| matches!(action, Action::Keep(_) | Action::Plan(_))), "{actions:?}");
    let written = Sight { content: content(1), ..sight(FILE, 3, 3) };
    assert!(desk.runs(3, written).contains(&Action::Plan(FILE)));
}

#[test]
fn a_passing_failure_is_tried_again_and_nothing_is_held_open_until_then() {
    let mut desk = Desk::default();
    desk.runs(1, sight(FILE, 1, 1));
    let actions = desk.planned(FILE, Err(Failure::Passing("too many open files".into())));
    assert_eq!(actions, [Action::Close(FILE)]);
    desk.now += Duration::from_secs(1);
    let actions = desk.on(Event::Tick);
    assert!(matches!(actions.as_slice(), [Action::Look { pid: 1, .. }]), "{actions:?}");
    let ticket = desk.ticket;
    let actions = desk.on(Event::Looked { pid: 1, ticket, look: Look::Runs(sight(FILE, 1, 1)) });
    assert_eq!(actions, [Action::Keep(FILE), Action::Plan(FILE)]);
}

#[test]
fn what_was_given_up_is_taken_up_by_a_look_later() {
    let mut desk = Desk::default();
    desk.runs(1, sight(FILE, 1, 1));
    let mut actions = Vec::new();
    for _ in 0..=super::TRIES {
        actions = desk.planned(FILE, Err(Failure::Passing("too many open files".into())));
        desk.now += Duration::from_secs(31);
        desk.on(Event::Tick);
        let ticket = desk.ticket;
        desk.on(Event::Looked { pid: 1, ticket, look: Look::Runs(sight(FILE, 1, 1)) });
    }
    assert!(actions.iter().any(|action| matches!(action, Action::NotTraced { pid: 1, .. })), "{actions:?}");
    desk.on(Event::Found(1));
    let ticket = desk.ticket;
    let actions = desk.on(Event::Looked { pid: 1, ticket, look: Look::Runs(sight(FILE, 1, 1)) });
    assert!(actions.contains(&Action::Plan(FILE)), "{actions:?}");
}

#[test]
fn a_process_whose_looks_were_given_up_is_looked_at_again_when_it_is_found() {
    let mut desk = Desk::default();
    desk.on(Event::Found(1));
    for _ in 0..=super::TRIES {
        let (ticket, look) = (desk.ticket, Look::Failed(Failure::Passing("too many open files".into())));
        desk.on(Event::Looked { pid: 1, ticket, look });
        desk.now += Duration::from_secs(31);
        desk.on(Event::Tick);
    }
    assert_eq!(desk.state.processes(), 0);
    assert!(matches!(desk.on(Event::Found(1)).as_slice(), [Action::Look { pid: 1, .. }]));
}

#[test]
fn an_announced_process_is_traced_from_its_execution_on_without_a_gap() {
    let mut desk = Desk::default();
    desk.on(Event::Announced { pid: 1, sight: sight(FILE, 1, 0) });
    desk.planned(FILE, Ok(()));
    desk.attached(FILE, true);
    assert_eq!(desk.state.traced(), 1);
    let forgets = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Forget { .. }));
    let actions = desk.on(Event::Executed(1));
    assert!(!forgets(&actions), "{actions:?}");
    let (ticket, look) = (desk.ticket, Look::Runs(sight(FILE, 1, 7)));
    let actions = desk.on(Event::Looked { pid: 1, ticket, look });
    // Its facts are looked up anew, as the same generation.
    assert!(matches!(actions.as_slice(), [Action::Configure { generation: 1, .. }]), "{actions:?}");
    // What it executes next is another program.
    assert!(forgets(&desk.on(Event::Executed(1))));
}

#[test]
fn an_announced_process_that_executes_another_file_is_forgotten() {
    let mut desk = Desk::default();
    desk.on(Event::Announced { pid: 1, sight: sight(FILE, 1, 0) });
    desk.planned(FILE, Ok(()));
    desk.attached(FILE, true);
    desk.on(Event::Executed(1));
    let (ticket, look) = (desk.ticket, Look::Runs(sight(OTHER, 1, 7)));
    let actions = desk.on(Event::Looked { pid: 1, ticket, look });
    assert!(
        actions.iter().any(|action| matches!(action, Action::Forget { generation: 1, .. })),
        "{actions:?}"
    );
}

#[test]
fn a_refused_file_is_closed_before_it_is_said_to_be_refused() {
    let mut desk = Desk::default();
    desk.runs(1, sight(FILE, 1, 1));
    let actions = desk.planned(FILE, Err(Failure::Final("no Go".into())));
    assert!(matches!(actions.as_slice(), [.., Action::Close(FILE), Action::NotTraced { .. }]), "{actions:?}");
}

#[test]
fn probes_linger_under_a_lease_only_for_a_file_that_was_started_again() {
    let mut desk = Desk::traced(true);
    assert!(detaches(&desk.exited(1, 1)), "its first life");
    desk.detached(FILE);
    desk.runs(2, sight(FILE, 2, 2));
    desk.attached(FILE, true);
    assert!(!detaches(&desk.exited(2, 2)), "it was started again a moment ago");
    // The third life costs nothing: it is configured at once.
    let actions = desk.runs(3, sight(FILE, 3, 3));
    assert!(actions.iter().any(|action| matches!(action, Action::Configure { .. })), "{actions:?}");
    desk.exited(3, 3);
    desk.now += LINGER;
    assert!(detaches(&desk.on(Event::Tick)), "and no longer than that");
}

#[test]
fn without_a_lease_nothing_lingers() {
    let mut desk = Desk::traced(false);
    desk.exited(1, 1);
    desk.detached(FILE);
    desk.runs(2, sight(FILE, 2, 2));
    desk.attached(FILE, false);
    assert!(detaches(&desk.exited(2, 2)));
}

#[test]
fn chmod_while_it_runs_changes_nothing_and_a_write_does() {
    let mut desk = Desk::traced(true);
    let touched = content(0).touched();
    let actions = desk.runs(2, Sight { content: touched, ..sight(FILE, 2, 2) });
    assert!(matches!(actions.as_slice(), [Action::Watch(_), Action::Configure { .. }]), "{actions:?}");
    let actions = desk.runs(3, Sight { content: content(1), ..sight(FILE, 3, 3) });
    assert!(detaches(&actions), "{actions:?}");
}

#[test]
fn what_a_process_executed_is_not_waited_for_for_ever() {
    let mut desk = Desk::traced(false);
    let actions = desk.on(Event::Executed(1));
    assert!(matches!(actions.as_slice(), [Action::Forget { .. }, Action::Look { .. }]), "{actions:?}");
    desk.now += LOOK_PATIENCE;
    assert!(detaches(&desk.on(Event::Tick)));
}

#[test]
fn an_answer_to_an_old_question_is_ignored() {
    let mut desk = Desk::default();
    desk.on(Event::Executed(1));
    let old = desk.ticket;
    desk.on(Event::Executed(1));
    assert_eq!(desk.on(Event::Looked { pid: 1, ticket: old, look: Look::Runs(sight(FILE, 1, 1)) }), []);
}

#[test]
fn probes_that_go_unasked_come_back_only_after_a_new_look() {
    let mut desk = Desk::traced(true);
    let actions = desk.detached(FILE);
    assert!(actions.contains(&Action::Close(FILE)), "{actions:?}");
    assert!(actions.iter().any(|action| matches!(action, Action::Look { pid: 1, .. })), "{actions:?}");
    let ticket = desk.ticket;
    let actions = desk.on(Event::Looked { pid: 1, ticket, look: Look::Runs(sight(FILE, 1, 1)) });
    assert!(actions.iter().any(|action| matches!(action, Action::Attach { .. })), "{actions:?}");
    desk.attached(FILE, true);
    assert_eq!(desk.generation, 2, "configured anew");
}

#[test]
fn a_process_id_that_is_used_again_is_another_process() {
    let mut desk = Desk::traced(true);
    let actions = desk.runs(1, sight(FILE, 9, 9));
    assert!(actions.contains(&Action::Unwatch(ProcessKey { pid: 1, started: 1 })), "{actions:?}");
    assert_eq!(desk.exited(1, 1), [], "the end of the one before is no news");
    assert_eq!(desk.state.processes(), 1);
}
