//! The model as the checker takes it.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use proof::{ALWAYS, Action, Bounds, SOMETIMES, System};
use stateright::{Checker as _, Expectation, HasDiscoveries, Model, Property};

/// The job path within these bounds.
struct CheckedSystem {
    bounds: Bounds,
    /// The only property that is looked at, where there is one, and whether it was broken. The checker goes on for some thousand states
    /// and would tell of the last break, which is not the shortest.
    wanted: Option<(&'static str, AtomicBool)>,
}

type Condition = fn(&CheckedSystem, &System) -> bool;

fn always<const N: usize>(model: &CheckedSystem, system: &System) -> bool {
    let (name, holds) = ALWAYS[N];
    match &model.wanted {
        None => holds(&model.bounds, system),
        Some((wanted, is_broken)) if *wanted == name && !is_broken.load(Relaxed) => {
            let holds = holds(&model.bounds, system);
            is_broken.store(!holds, Relaxed);
            holds
        }
        Some(_) => true,
    }
}

fn sometimes<const N: usize>(model: &CheckedSystem, system: &System) -> bool {
    model.wanted.is_none() && SOMETIMES[N].1(&model.bounds, system)
}

const ALWAYS_CONDITIONS: [Condition; ALWAYS.len()] = [
    always::<0>,
    always::<1>,
    always::<2>,
    always::<3>,
    always::<4>,
    always::<5>,
    always::<6>,
    always::<7>,
    always::<8>,
    always::<9>,
    always::<10>,
    always::<11>,
    always::<12>,
];

const SOMETIMES_CONDITIONS: [Condition; SOMETIMES.len()] = [
    sometimes::<0>,
    sometimes::<1>,
    sometimes::<2>,
    sometimes::<3>,
    sometimes::<4>,
    sometimes::<5>,
    sometimes::<6>,
    sometimes::<7>,
    sometimes::<8>,
];

impl Model for CheckedSystem {
    type State = System;
    type Action = Action;

    fn init_states(&self) -> Vec<System> {
        vec![System::started(&self.bounds)]
    }

    fn actions(&self, system: &System, actions: &mut Vec<Action>) {
        system.list_actions(&self.bounds, actions);
    }

    fn next_state(&self, system: &System, action: Action) -> Option<System> {
        system.after(action, &self.bounds).map(System::canonical)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all = ALWAYS.iter().zip(ALWAYS_CONDITIONS).map(|((name, _), condition)| Property {
            expectation: Expectation::Always,
            name,
            condition,
        });
        let some = SOMETIMES.iter().zip(SOMETIMES_CONDITIONS).map(|((name, _), condition)| Property {
            expectation: Expectation::Sometimes,
            name,
            condition,
        });
        all.chain(some).collect()
    }
}

/// Walks every history; fails with the shortest one that breaks a property, and where something is never seen that is `expected`.
pub(crate) fn assert_all_hold(what: &str, bounds: Bounds, expected: &[&str]) {
    let start = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checked = CheckedSystem { bounds, wanted: None };
    let checker = checked.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    for (name, _) in ALWAYS {
        if let Some(path) = checker.discovery(name) {
            panic!("{what}: not so: {name}\n{}", tell(&path));
        }
    }
    assert!(checker.is_done(), "{what}: the checker stopped before the end");
    for name in expected {
        assert!(SOMETIMES.iter().any(|(known, _)| known == name), "no such property: {name}");
        assert!(checker.discoveries().contains_key(name), "{what}: never seen: {name}");
    }
    println!(
        "{what}: {} states, {} steps, at most {} steps deep, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth() - 1,
        start.elapsed().as_secs_f64()
    );
}

/// Returns the shortest history that breaks a property.
pub(crate) fn find_break(bounds: Bounds, name: &'static str) -> Option<Vec<Action>> {
    let finish = HasDiscoveries::AllOf(BTreeSet::from([name]));
    let checked = CheckedSystem { bounds, wanted: Some((name, AtomicBool::new(false))) };
    let checker = checked.checker().finish_when(finish).spawn_bfs().join();
    checker.discovery(name).map(stateright::Path::into_actions)
}

fn tell(path: &stateright::Path<System, Action>) -> String {
    let steps = path.clone().into_actions();
    let steps: Vec<String> = steps.iter().enumerate().map(|(at, step)| format!("{:3}  {step:?}", at + 1)).collect();
    format!("{}\n{:#?}", steps.join("\n"), path.last_state())
}
