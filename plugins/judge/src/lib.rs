//! Grades what stands in another column, or says which of two is better, by a rubric: one model or several, once or several
//! times, and what most of them say.

mod config;
mod prompt;
mod tally;
#[cfg(test)]
mod tests;

use config::Judge;
use prompt::Case;
use sandmill_plugin::llm::{self, Chat, ErrorKind, Response};
use sandmill_plugin::{Context, Failure, Item, Manifest, Outcome, template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tally::Winner;

pub use config::Config;

#[derive(Debug, Serialize, JsonSchema)]
pub struct Judged {
    /// On the scale; without `compare`.
    #[serde(skip_serializing_if = "Option::is_none")]
    grade: Option<i64>,
    /// With `compare`: `a` is the first field that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    winner: Option<Winner>,
    /// The share of the votes that say the same as the result, from 0 to 1.
    agreement: f64,
    votes: Vec<Vote>,
    /// Votes that did not come.
    failed: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Vote {
    /// The role that was asked.
    judge: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grade: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    winner: Option<Winner>,
    /// With `compare`: the judge preferred the other one when their order was swapped, so that it counts as a tie.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_place: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<String>,
}

/// As a judge writes it.
#[derive(Debug, Deserialize)]
struct Graded {
    grade: i64,
    reasons: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Preferred {
    better: Better,
    reasons: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Better {
    First,
    Second,
    Tie,
}

type Answer = Result<Response, llm::Error>;

fn manifest() -> Manifest {
    let does = "Grades an answer, or says which of two is better, by a rubric: what most votes say.";
    let manifest = Manifest::new("judge", env!("CARGO_PKG_VERSION"), does)
        .config::<Config>()
        .output::<Judged>()
        .role(Judge::Default.role(), "judges answers, and answers in JSON that fits a schema");
    let another = "one more judge, for `judges`; best of another maker than the rest";
    Judge::OPTIONAL.iter().fold(manifest, |manifest, judge| manifest.optional_role(judge.role(), another))
}

fn process(item: Item<Value>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let config = &cx.config;
    config.check()?;
    let text = |name: &String| template::field(&item.data, name).map(std::borrow::Cow::into_owned);
    let fields = config.compare.as_ref().map_or(std::slice::from_ref(&config.answer_field), |both| &both[..]);
    let case = Case {
        question: config.question_field.as_ref().map(text).transpose()?,
        reference: config.reference_field.as_ref().map(text).transpose()?,
        answers: fields.iter().map(text).collect::<Result<_, _>>()?,
    };
    match &case.answers[..] {
        [a, b] if a.trim() == b.trim() => Ok(Outcome::emit(Judged {
            grade: None,
            winner: Some(Winner::Tie),
            agreement: 1.0,
            votes: Vec::new(),
            failed: 0,
        })),
        [a, b] => compare(config, &case, [a, b]),
        _ => grade(config, &case),
    }
}

fn grade(config: &Config, case: &Case) -> Result<Outcome, Failure> {
    let asked = config.asked();
    let answers = ask(asked.iter().map(|judge| prompt::grade(config, case, judge.role())).collect())?;
    let votes = asked.iter().zip(answers).map(|(judge, answer)| {
        let Graded { grade, reasons } = answer?.parse()?;
        if !(config.scale.min..=config.scale.max).contains(&grade) {
            return Err(Lost::Unusable(format!("{grade} is not on the scale")));
        }
        Ok(Vote { judge: judge.role(), grade: Some(grade), winner: None, by_place: None, reasons })
    });
    let (votes, failed) = counted(config, &asked, votes.collect())?;
    let grades: Vec<i64> = votes.iter().filter_map(|vote| vote.grade).collect();
    let grade = tally::grade(&grades, config.decide, config.tie).ok_or_else(|| tie(&grades))?;
    Ok(Outcome::emit(Judged {
        grade: Some(grade),
        winner: None,
        agreement: tally::agreement(&grades, &grade),
        votes,
        failed,
    }))
}

fn compare(config: &Config, case: &Case, [a, b]: [&str; 2]) -> Result<Outcome, Failure> {
    let asked = config.asked();
    let orders = if config.swap { &[[a, b], [b, a]][..] } else { &[[a, b]] };
    let questions =
        asked.iter().flat_map(|judge| orders.iter().map(|order| prompt::compare(config, case, judge.role(), *order)));
    let mut answers = ask(questions.collect())?.into_iter();
    let votes = asked.iter().map(|judge| {
        // Both are taken, whatever the first of them is.
        let straight = answers.next().map(preferred);
        let swapped = config.swap.then(|| answers.next().map(preferred)).flatten();
        let Some(straight) = straight else { return Err(Lost::Unusable("there is no answer".to_owned())) };
        let (winner, reasons) = straight?;
        let (winner, by_place) = match swapped {
            None => (winner, None),
            Some(swapped) => {
                let swapped = match swapped?.0 {
                    Winner::A => Winner::B,
                    Winner::B => Winner::A,
                    Winner::Tie => Winner::Tie,
                };
                (tally::both_orders(winner, swapped), Some(winner != swapped))
            }
        };
        Ok(Vote { judge: judge.role(), grade: None, winner: Some(winner), by_place, reasons })
    });
    let votes: Vec<_> = votes.collect();
    let (votes, failed) = counted(config, &asked, votes)?;
    let winners: Vec<Winner> = votes.iter().filter_map(|vote| vote.winner).collect();
    let winner = tally::winner(&winners, config.tie).ok_or_else(|| tie(&winners))?;
    Ok(Outcome::emit(Judged {
        grade: None,
        winner: Some(winner),
        agreement: tally::agreement(&winners, &winner),
        votes,
        failed,
    }))
}

/// The first of the two that the judge saw is `a`.
fn preferred(answer: Answer) -> Result<(Winner, Option<String>), Lost> {
    let Preferred { better, reasons } = answer?.parse()?;
    let winner = match better {
        Better::First => Winner::A,
        Better::Second => Winner::B,
        Better::Tie => Winner::Tie,
    };
    Ok((winner, reasons))
}

/// All at the same time.
fn ask(questions: Vec<Chat>) -> Result<Vec<Answer>, Failure> {
    Ok(llm::all(questions)?)
}

/// Why a vote does not count.
enum Lost {
    Failed(llm::Error),
    Unusable(String),
}

impl From<llm::Error> for Lost {
    fn from(error: llm::Error) -> Self {
        Self::Failed(error)
    }
}

/// The votes that came, and how many did not; fails without a quorum.
fn counted(config: &Config, asked: &[Judge], votes: Vec<Result<Vote, Lost>>) -> Result<(Vec<Vote>, usize), Failure> {
    let mut came = Vec::new();
    let mut lost = Vec::new();
    let mut another_may_do = false;
    for (judge, vote) in asked.iter().zip(votes) {
        let (code, message) = match vote {
            Ok(vote) => {
                came.push(vote);
                continue;
            }
            // The run is being stopped.
            Err(Lost::Failed(error)) if error.kind == ErrorKind::Cancelled => return Err(error.into()),
            Err(Lost::Failed(error)) => {
                another_may_do |= error.kind == ErrorKind::BadAnswer;
                (error.code, error.message)
            }
            Err(Lost::Unusable(message)) => {
                another_may_do = true;
                ("bad_answer".to_owned(), message)
            }
        };
        lost.push(json!({"judge": judge.role(), "code": code, "message": message}));
    }
    let quorum = config.quorum();
    if came.len() >= quorum {
        return Ok((came, lost.len()));
    }
    let first = lost.first().map_or_else(String::new, |lost| format!(": {}: {}", lost["judge"], lost["message"]));
    let message = format!("{} of {} votes came, and {quorum} are wanted{first}", came.len(), asked.len());
    let failure = if another_may_do {
        Failure::retryable("no_quorum", message)
    } else {
        Failure::permanent("no_quorum", message)
    };
    Err(failure.detail(lost))
}

fn tie<V: Serialize>(votes: &[V]) -> Failure {
    let votes = json!(votes);
    Failure::retryable(
        "tie",
        format!("the votes are {votes}, which decides nothing: ask more judges, or set another `tie`"),
    )
    .detail(votes)
}

sandmill_plugin::export!(manifest, process);
