//! The cases of one plugin: built, loaded, run one after the other, and what came of each.

use super::super::super::live::Live;
use super::super::super::loading::{Giving, Loaded};
use super::super::super::trying::Trying;
use super::super::super::{Exit, Failure, attempts};
use super::super::build::build_if_stale;
use super::{Record, TestArgs, interrupted, tell};
use crate::clock::{Clock, SystemClock};
use crate::domain::{Budget, ItemId, Llm, Verdict};
use crate::kit::cases::{Case, CaseFile, Change, Difference, Expect, NewAnswer};
use crate::resilience::{Amount, AnsweredBy, Cassette, CassetteSettings, Taped, TapedQuestion};
use crate::run::{Blobs, Contract, ContractError, Debugging, Ending, Phase, Shutdown};
use crate::sandbox::{AttemptReport, Job, Watch};
use std::path::Path;
use std::sync::Arc;

/// 2026-01-01, in milliseconds since 1970: where clocks start in a test, whenever it is run.
const CREATED_MS: u64 = 1_767_225_600_000;
const JOB: &str = "test";

/// How many cases ended how.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) differs: u64,
    pub(super) new: u64,
    pub(super) unanswered: u64,
    pub(super) broken: u64,
    /// Their files were written.
    pub(super) updated: u64,
    pub(super) recorded: u64,
    /// Answers that nobody asked for.
    pub(super) left_over: u64,
}

impl Counts {
    pub(super) fn all(&self) -> u64 {
        self.passed + self.updated + self.broken + self.failed()
    }

    pub(super) fn failed(&self) -> u64 {
        self.differs + self.new + self.unanswered
    }
}

/// How a case ended.
pub(super) enum Ended {
    Passed,
    /// What came of it is now what is expected.
    Updated,
    Differs(Difference),
    /// Nothing is expected yet.
    New,
    /// It asked what there is no answer to.
    Unanswered,
    /// It cannot be run.
    Broken(String),
}

/// A case that was run.
pub(super) struct Tried<'a> {
    pub(super) folder: &'a Path,
    pub(super) file: &'a Path,
    pub(super) case: &'a Case,
    pub(super) ended: Ended,
    /// `None`: it could not be run.
    pub(super) report: Option<AttemptReport>,
    pub(super) questions: Vec<TapedQuestion>,
    /// Answers of the case that nobody asked for.
    pub(super) left_over: Vec<Taped>,
    /// What was written into its file.
    pub(super) recorded: Recorded,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) answers: usize,
    /// Of them.
    pub(super) errors: usize,
    pub(super) dropped: usize,
}

pub(super) struct Suite<'a> {
    pub(super) args: &'a TestArgs,
    pub(super) folder: &'a Path,
    pub(super) shutdown: &'a Shutdown,
}

/// What all cases of a plugin share.
struct Bench<'a> {
    trying: &'a Trying,
    loaded: &'a Loaded,
    live: Option<&'a Arc<Live>>,
    budget: Budget,
    clock: Arc<dyn Clock>,
}

impl Suite<'_> {
    /// What ended the test early, if something did.
    pub(super) fn run(
        &self,
        trying: &mut Trying,
        mut files: Vec<CaseFile>,
        counts: &mut Counts,
    ) -> Result<Option<Exit>, Failure> {
        let is_wanted = |case: &Case| self.args.filter.as_ref().is_none_or(|text| case.name.contains(text));
        let wanted = |file: &CaseFile| file.cases.iter().filter(|case| is_wanted(case)).cloned().collect::<Vec<_>>();
        let cases: Vec<Vec<Case>> = files.iter().map(wanted).collect();
        if cases.iter().all(Vec::is_empty) {
            return Ok(None);
        }
        build_if_stale(self.folder)?;
        if let Some(exit) = interrupted(self.shutdown) {
            return Ok(Some(exit));
        }
        trying.name(self.folder);
        let loaded = trying.load(Giving::Rehearsed, self.args.record.is_none())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let live = if self.args.record.is_some() {
            let names = files.iter().zip(&cases).flat_map(|(file, cases)| cases.iter().map(|case| id(file, case)));
            let routes = trying.routes(&loaded)?;
            Some(Arc::new(Live::open(trying, &loaded, &routes, names.collect(), Arc::clone(&clock))?))
        } else {
            None
        };
        let bench = Bench { trying, loaded: &loaded, live: live.as_ref(), budget: trying.budget()?, clock };
        if !self.args.json {
            tell::begin(self.folder, &loaded.plugin, cases.iter().map(Vec::len).sum());
        }
        let mut nth = 0;
        for (file, cases) in files.iter_mut().zip(&cases) {
            for case in cases {
                if let Some(exit) = self.case(&bench, file, case, nth, counts)? {
                    return Ok(Some(exit));
                }
                nth += 1;
            }
        }
        Ok(None)
    }

    fn case(
        &self,
        bench: &Bench<'_>,
        file: &mut CaseFile,
        case: &Case,
        nth: usize,
        counts: &mut Counts,
    ) -> Result<Option<Exit>, Failure> {
        let path = file.path.clone();
        let mut tried = match Contract::new(bench.loaded.plugin.manifest(), &case.config) {
            Ok(contract) => self.attempt(bench, &path, case, nth, &contract)?,
            Err(error) => Tried {
                folder: self.folder,
                file: &path,
                case,
                ended: Ended::Broken(misfit(error)),
                report: None,
                questions: Vec::new(),
                left_over: Vec::new(),
                recorded: Recorded::default(),
            },
        };
        let halted = bench.live.and_then(|live| live.halted());
        let stop = interrupted(self.shutdown)
            .or_else(|| halted.as_ref().map(|reason| Exit::of_run(&Ending::from(reason.clone()), 0, false)));
        self.write(file, &mut tried, stop.is_some())?;
        if stop.is_some() && matches!(tried.ended, Ended::Unanswered) {
            // It was stopped rather than left without an answer.
            if let Some(reason) = halted {
                return Err(Failure {
                    error: anyhow::anyhow!(Ending::from(reason).reason()),
                    exit: stop.unwrap_or(Exit::Parked),
                });
            }
            return Ok(stop);
        }
        count(&tried, counts);
        if self.args.json {
            tell::as_json(&tried)?;
        } else {
            tell::case(&tried, self.args.verbose);
        }
        Ok(stop)
    }

    fn attempt<'a>(
        &'a self,
        bench: &Bench<'_>,
        file: &'a Path,
        case: &'a Case,
        nth: usize,
        contract: &Contract,
    ) -> Result<Tried<'a>, Failure> {
        let plugin = &bench.loaded.plugin;
        let job = Job { name: JOB.into(), created_unix_ms: CREATED_MS, config: case.config.clone() };
        let live = match bench.live {
            None => None,
            Some(live) => {
                let session = bench.trying.runtime.block_on(live.session(nth, case.attempt, Amount::default()))?;
                Some(session as Arc<dyn Llm>)
            }
        };
        let asks_all = self.args.record == Some(Record::All);
        let answers = if asks_all { Vec::new() } else { case.answers.clone() };
        let cassette = Arc::new(Cassette::new(
            CassetteSettings {
                answers,
                roles: plugin.manifest().model_roles.iter().map(|role| role.name.clone()).collect(),
                calls_max: bench.budget.calls.unwrap_or(u64::MAX),
                context: case.context,
                live,
            },
            Arc::clone(&bench.clock),
        ));
        let blobs = Blobs::new(Arc::new([]));
        let debugging = Debugging { plugin, job: &job, contract, blobs: &blobs };
        let llm = Arc::clone(&cassette) as Arc<dyn Llm>;
        let mut shutdown = self.shutdown.clone();
        let report = bench.trying.runtime.block_on(async {
            let attempt =
                debugging.attempt(case.item.clone(), Vec::new(), case.attempt, bench.budget, llm, Watch::default());
            tokio::select! {
                report = attempt => report.map(Some),
                () = shutdown.changed_from(Phase::Running) => Ok(None),
            }
        })?;
        let ended = match &report {
            None => Ended::Unanswered,
            Some(report) if report.verdict == Verdict::Suspended => Ended::Unanswered,
            Some(report) => match &case.expect {
                None => Ended::New,
                Some(expect) => expect.difference(&report.verdict).map_or(Ended::Passed, Ended::Differs),
            },
        };
        let left_over = if asks_all {
            case.answers.clone()
        } else {
            cassette.left_over().into_iter().filter_map(|place| case.answers.get(place).cloned()).collect()
        };
        let (questions, recorded) = (cassette.questions(), Recorded::default());
        Ok(Tried { folder: self.folder, file, case, ended, report, questions, left_over, recorded })
    }

    /// What is new goes into the file at once: what was paid for is not lost by what comes later.
    fn write(&self, file: &mut CaseFile, tried: &mut Tried<'_>, is_stopped: bool) -> Result<(), Failure> {
        let mut change = Change::default();
        if self.args.record.is_some() {
            change.answers = answers(tried, is_stopped);
        }
        if self.args.update && matches!(tried.ended, Ended::New | Ended::Differs(_)) {
            change.expect = tried.report.as_ref().and_then(|report| Expect::of(&report.verdict));
        }
        if change == Change::default() {
            return Ok(());
        }
        file.change(tried.case.line, &change)?;
        if change.expect.is_some() {
            tried.ended = Ended::Updated;
        }
        Ok(())
    }
}

/// Those that were asked for, in that order; `None`: they are as they were.
fn answers(tried: &mut Tried<'_>, is_stopped: bool) -> Option<Vec<NewAnswer>> {
    let mut recorded = Recorded::default();
    let mut answers = Vec::new();
    for question in &tried.questions {
        match &question.by {
            AnsweredBy::Tape(place) => answers.push(NewAnswer::Kept(*place)),
            AnsweredBy::Live(end) => {
                recorded.answers += 1;
                recorded.errors += usize::from(end.is_err());
                let (request, asked) = (Some(question.request), Some(question.excerpt.clone()));
                answers.push(NewAnswer::Recorded(Box::new(Taped { request, asked, end: end.clone() })));
            }
            AnsweredBy::Host(_) | AnsweredBy::Nobody => {}
        }
    }
    let is_cut_short = tried.report.as_ref().is_none_or(|report| attempts::card(&report.verdict).is_some());
    if is_stopped || is_cut_short {
        // What was not asked for by then may still be.
        let is_new = |question: &&TapedQuestion| matches!(question.by, AnsweredBy::Live(_));
        let new: Vec<[u8; 32]> = tried.questions.iter().filter(is_new).map(|question| question.request).collect();
        let rest = tried.case.answers.iter().enumerate().filter(|(place, taped)| {
            let is_replaced = taped.request.is_some_and(|request| new.contains(&request));
            !answers.contains(&NewAnswer::Kept(*place)) && !is_replaced
        });
        let rest: Vec<NewAnswer> = rest.map(|(place, _)| NewAnswer::Kept(place)).collect();
        answers.extend(rest);
    } else {
        recorded.dropped = tried.left_over.len();
    }
    if recorded.answers + recorded.dropped == 0 {
        return None;
    }
    tried.recorded = recorded;
    tried.left_over.clear();
    Some(answers)
}

fn count(tried: &Tried<'_>, counts: &mut Counts) {
    *match &tried.ended {
        Ended::Passed => &mut counts.passed,
        Ended::Updated => &mut counts.updated,
        Ended::Differs(_) => &mut counts.differs,
        Ended::New => &mut counts.new,
        Ended::Unanswered => &mut counts.unanswered,
        Ended::Broken(_) => &mut counts.broken,
    } += 1;
    counts.recorded += tried.recorded.answers as u64;
    counts.left_over += tried.left_over.len() as u64;
}

fn misfit(error: ContractError) -> String {
    match error {
        // No flag sets it here.
        ContractError::BadConfig { reason } => format!("its `config` does not fit: {reason}"),
        ContractError::BadSchema { .. } => error.to_string(),
    }
}

/// How a case is called in messages of the models' side.
fn id(file: &CaseFile, case: &Case) -> ItemId {
    let text = format!("{}:{}", file.path.display(), case.line);
    ItemId::new(&text).unwrap_or_else(|_| ItemId::from_content(&text, 0))
}
