//! Two folders' observations of one module become one.

use offsets::database::format::Tested;
use offsets::{STD, Version};

use super::observations::Observations;
use crate::probe::shape::Shape;

/// Two recorded different things of one version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{version}: {what} differs between the two; build that version again")]
pub struct Conflict {
    /// The version.
    pub version: String,
    /// What differs.
    pub what: String,
}

impl Observations {
    /// Takes over what another has: its builds where this has none on that axis, its holes where this has nothing. Two that
    /// saw different things under one version's name are an error, and nothing is settled by the order.
    pub fn merge(&mut self, other: Self) -> Result<(), Conflict> {
        self.toolchains.extend(other.toolchains);
        self.settings.extend(other.settings);
        for (version, build) in other.builds {
            self.holes.remove(&(version.clone(), None));
            for axis in build.axes.keys().chain(&build.tested.agrees) {
                self.holes.remove(&(version.clone(), Some(axis.clone())));
            }
            match self.builds.get_mut(&version) {
                None => drop(self.builds.insert(version, build)),
                Some(known) => {
                    let conflict = |what| Conflict { version: build.tested.version.clone(), what };
                    if known.tested.hash != build.tested.hash {
                        return Err(conflict("the module's hash".to_owned()));
                    }
                    for (axis, shape) in build.axes {
                        if !join(known.axes.entry(axis.clone()).or_default(), shape) {
                            return Err(conflict(format!("what was compiled for {axis}")));
                        }
                    }
                    let (ours, theirs) = (&known.tested, &build.tested);
                    let agrees = ours.agrees.iter().chain(&theirs.agrees).cloned().collect();
                    let retracted = ours.retracted || theirs.retracted;
                    // Of two that were built, the one that says more of itself, whichever came first.
                    let rank = |tested: &Tested| {
                        let toolchain = Version::parse(STD, &tested.toolchain);
                        (tested.generator.clone(), toolchain, tested.go.clone(), tested.modules.clone())
                    };
                    let newer = if rank(theirs) > rank(ours) { theirs } else { ours }.clone();
                    known.tested = Tested { agrees, retracted, ..newer };
                    known.tested.arch = known.axes.keys().cloned().collect();
                    known.tested.agrees.sort();
                    known.tested.agrees.dedup();
                }
            }
        }
        for ((version, axis), hole) in other.holes {
            let built = self.builds.get(&version);
            match axis {
                // One of an axis that is recorded stands for a build that failed later.
                Some(axis) if built.is_some_and(|build| build.axes.contains_key(&axis)) => {
                    self.miss_again(version, hole, &axis);
                }
                _ => self.miss(version, hole),
            }
        }
        Ok(())
    }
}

/// Takes over what another look at the same thing found; false where the two contradict each other. One may have looked for
/// more, or have reached what the other did not.
#[must_use]
fn join(own: &mut Shape, other: Shape) -> bool {
    let agree = own.structs.iter().all(|(name, own)| other.structs.get(name).is_none_or(|o| o == own))
        && own.functions.iter().all(|(name, own)| other.functions.get(name).is_none_or(|o| o == own));
    own.structs.extend(other.structs);
    own.functions.extend(other.functions);
    own.unreached.extend(other.unreached);
    own.unreached.retain(|name| !own.structs.contains_key(name));
    own.unreached_functions.extend(other.unreached_functions);
    own.unreached_functions.retain(|name| !own.functions.contains_key(name));
    agree
}
