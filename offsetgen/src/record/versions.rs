//! Which versions of a module are to be recorded.

use std::fs;

use anyhow::{Context, Result};
use offsets::STD;
use offsets::database::format::Document;

use super::recording::Recording;
use super::surroundings::Surroundings;
use crate::failure::{Failure, Stage};
use crate::go::choice;
use crate::go::listing::{self, Versions};
use crate::go::release::spell;

impl Recording<'_> {
    pub(super) fn find_versions(&mut self, before: &Document, around: &mut Surroundings<'_>) -> Result<()> {
        let (options, store, progress) = (self.options, around.store, around.progress);
        if self.is_std() {
            let releases = choice::of_std(options, store, before, progress)?;
            let texts: Vec<String> = releases.into_iter().map(spell).collect();
            self.versions = listing::parse(STD, texts.iter().map(String::as_str));
        } else {
            self.versions = if options.versions.is_empty() {
                self.list(before, around)?
            } else {
                listing::parse(self.module, options.versions.iter().map(String::as_str))
            };
            self.newest = choice::newest(options, store, progress)?;
            around.kept.extend(choice::candidates(&self.newest, 0));
            self.find_retractions(around);
        }
        let versions = std::mem::take(&mut self.versions);
        self.versions = versions.into_iter().filter(|(version, _)| self.covered(version)).collect();
        if let Some((number, count)) = options.shard {
            // Of what is to be done: what is new lies at the end of the whole, and would be one machine's work.
            let mut rest = std::mem::take(&mut self.versions);
            rest.retain(|version, _| !self.is_done(version));
            self.versions = shard(rest, number, count);
        }
        Ok(())
    }

    fn list(&self, before: &Document, around: &Surroundings<'_>) -> Result<Versions> {
        let network = around.store.network()?;
        let listed = listing::listed(network, self.module, around.progress)?;
        let exists = |text: &str| network.proxies.exists(&network.client, self.module, text);
        if let Some(newest) = before.versions.last()
            && listed.is_empty()
            && !exists(&newest.version)?
        {
            let text = format!(
                "the proxy has neither a list of its versions nor {}, which is recorded: whether there are new ones is not known",
                newest.version
            );
            return Err(Failure::new(Stage::Fetch, text).into());
        }
        let mut versions = listing::parse(self.module, listed.iter().map(String::as_str));
        let recorded = before.versions.iter().map(|tested| tested.version.as_str());
        versions.extend(listing::parse(
            self.module,
            recorded.chain(before.holes.iter().map(|hole| hole.version.as_str())),
        ));
        if let Some(file) = &self.options.versions_from {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            versions.extend(listing::parse(self.module, listing::of_file(&text, self.module)));
        }
        listing::without_pseudo(&mut versions);
        // What no entry covers is not asked for either.
        versions.retain(|version, _| self.covered(version));
        listing::complete(self.module, &mut versions, |text| Ok(exists(text)?))?;
        Ok(versions)
    }

    /// The newest release's go.mod says what was taken back; of those that the proxy serves, since one may be listed and
    /// withheld.
    fn find_retractions(&mut self, around: &Surroundings<'_>) {
        let releases = self.versions.iter().rev().filter(|(version, _)| !version.is_prerelease());
        let releases: Vec<String> = releases.take(5).map(|(_, text)| text.clone()).collect();
        let mut failure = None;
        for text in &releases {
            let asked =
                around.store.network().and_then(|network| Ok(listing::go_mod(network, self.module, text)?));
            match asked {
                Ok(text) => {
                    let retracted = listing::retractions(self.module, &text);
                    self.all.retract(|v| retracted.iter().any(|(low, high)| low <= v && v <= high));
                    self.retracted = retracted;
                    return;
                }
                Err(error) if Stage::of(&error) == Stage::Withheld => failure = Some(error),
                Err(error) => {
                    self.interrupted = true;
                    failure = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = failure {
            around.progress.say(&format!("{}: what is retracted is not known: {error:#}", self.module));
        }
    }
}

/// One of several equal parts of a list; neighbours stay together.
fn shard(versions: Versions, number: usize, count: usize) -> Versions {
    let all = versions.len();
    let bounds = (all * (number - 1) / count, all * number / count);
    versions
        .into_iter()
        .enumerate()
        .filter(|(i, _)| (bounds.0..bounds.1).contains(i))
        .map(|(_, pair)| pair)
        .collect()
}
