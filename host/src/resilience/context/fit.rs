//! Makes a request fit its model, or says by how much it does not.
//!
//! Pure. What fits by its bytes alone is told at sight; counting may take some milliseconds of processor time, and callers keep it off the
//! async threads. What is far too long is not counted to its end.

use super::count::{Counter, PER_MESSAGE};
use super::window::{Weight, Window};
use crate::domain::{Cut, Message, Part, Request, Speaker};

/// What to do with a request that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOverflow {
    /// The oldest messages go first, then the end of the longest text.
    Truncate,
    /// The middle of the longest text goes.
    TruncateMiddle,
    /// The plugin is told.
    Error,
}

/// As the operator sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextSettings {
    pub on_overflow: OnOverflow,
    /// Tokens that are kept free for an answer, where a request does not say how many it wants.
    pub reserve_output: u64,
    /// The last messages, which are never dropped.
    pub keep_last: usize,
    /// The context of a model of which nothing is known, in tokens.
    pub assumed: u64,
}

impl Default for ContextSettings {
    fn default() -> Self {
        Self { on_overflow: OnOverflow::Truncate, reserve_output: 2_000, keep_last: 2, assumed: 16_000 }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fitted {
    /// It fits as it is.
    Whole,
    /// It fits now; `cut` is none where only less output is asked for.
    Changed { request: Box<Request>, cut: Option<Cut> },
    /// It does not, and nobody may shorten it. Counted as the provider does.
    TooLong { tokens: u64, limit: u64 },
}

/// Tokens of a text that is never cut further: below that, what is left says nothing.
const TEXT_MIN: u64 = 16;
/// Rounds of cutting the text that is then the longest.
const ROUNDS_MAX: usize = 64;

/// Without counting; `None`: it has to be counted.
pub(crate) fn fit_at_sight(request: &Request, window: Window, settings: &ContextSettings) -> Option<Fitted> {
    let room = Room::new(request, window, settings);
    // No text has more tokens than bytes; half of that leaves room for every frame.
    (window.weight == Weight::default() && request_bytes(request) <= room.budget / 2).then(|| room.whole(request))
}

pub(crate) fn fit(request: &Request, counter: &Counter, window: Window, settings: &ContextSettings) -> Fitted {
    if let Some(fitted) = fit_at_sight(request, window, settings) {
        return fitted;
    }
    let how = match request.on_overflow.as_deref() {
        Some("truncate") => OnOverflow::Truncate,
        Some("truncate-middle") => OnOverflow::TruncateMiddle,
        Some("error") => OnOverflow::Error,
        Some(_) | None => settings.on_overflow,
    };
    let room = Room::new(request, window, settings);
    let mut draft = Draft::new(request, counter, room.limit.max(window.weight.ours(room.limit)));
    let total = window.weight.theirs(draft.total());
    if total <= room.budget {
        return room.whole(request);
    }
    if total <= room.limit {
        // Less output, rather than less input.
        let lowered = with_output(request, room.output_beside(total));
        return Fitted::Changed { request: Box::new(lowered), cut: None };
    }
    if how == OnOverflow::Error {
        return Fitted::TooLong { tokens: total, limit: room.limit };
    }
    let weight = window.weight.heavier(window.weight_of_cuts);
    draft.limit = weight.ours(room.limit);
    if how == OnOverflow::Truncate {
        draft.drop_oldest(settings.keep_last);
    }
    if !draft.cut_texts(how, counter) {
        return Fitted::TooLong { tokens: total, limit: room.limit };
    }
    let after = weight.theirs(draft.total());
    let cut = Cut {
        how: how.name().into(),
        tokens_before: weight.theirs(draft.total_before),
        tokens_after: after,
        messages_dropped: draft.dropped,
    };
    let max_output_tokens = request.max_output_tokens.map(|_| saturated(room.output_beside(after)));
    let shortened = Request { messages: draft.messages, max_output_tokens, ..request.clone() };
    Fitted::Changed { request: Box::new(shortened), cut: Some(cut) }
}

impl OnOverflow {
    const fn name(self) -> &'static str {
        match self {
            Self::Truncate => "truncate",
            Self::TruncateMiddle => "truncate-middle",
            Self::Error => "error",
        }
    }
}

/// How much of a window a request may take.
struct Room {
    context: u64,
    /// What it may be answered with.
    output: u64,
    asked: Option<u32>,
    /// For the input, beside all of the output that was asked for.
    budget: u64,
    /// For the input, beside the least output that is worth a call.
    limit: u64,
}

impl Room {
    fn new(request: &Request, window: Window, settings: &ContextSettings) -> Self {
        let wanted = request.max_output_tokens.map_or(settings.reserve_output, u64::from);
        let output = wanted.min(window.max_output.unwrap_or(u64::MAX));
        let least = output.min(settings.reserve_output).min(window.context / 2);
        let input = |beside: u64| window.context.saturating_sub(beside).min(window.max_input.unwrap_or(u64::MAX));
        let (budget, limit) = (input(output), input(least));
        Self { context: window.context, output, asked: request.max_output_tokens, budget, limit }
    }

    fn output_beside(&self, input: u64) -> u64 {
        self.output.min(self.context.saturating_sub(input))
    }

    /// As it is, but for output that the model cannot give.
    fn whole(&self, request: &Request) -> Fitted {
        if self.asked.is_some_and(|asked| u64::from(asked) > self.output) {
            return Fitted::Changed { request: Box::new(with_output(request, self.output)), cut: None };
        }
        Fitted::Whole
    }
}

fn with_output(request: &Request, output: u64) -> Request {
    Request { max_output_tokens: Some(saturated(output)), ..request.clone() }
}

fn saturated(tokens: u64) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

fn request_bytes(request: &Request) -> u64 {
    let part = |part: &Part| match part {
        Part::Text(text) => text.len(),
        Part::ToolCall(call) => call.arguments.len() + call.name.len(),
        Part::ToolResult(result) => result.content.len() + result.media.len() * MEDIA_BYTES,
        Part::Other(other) => other.value.len(),
        Part::Media(_) => MEDIA_BYTES,
    };
    let messages: usize = request.messages.iter().flat_map(|message| &message.parts).map(part).sum();
    let tools: usize = request.tools.iter().map(|tool| tool.parameters.len() + tool.description.len() + 100).sum();
    (messages + tools + 16 * request.messages.len()) as u64
}

/// What a picture counts for in bytes, so that it is never too few.
const MEDIA_BYTES: usize = 4_000;

/// Messages while they are shortened, each with its count.
struct Draft {
    messages: Vec<Message>,
    counts: Vec<u64>,
    /// Tools and frame.
    fixed: u64,
    limit: u64,
    total_before: u64,
    dropped: u32,
}

impl Draft {
    /// What is longer than `enough` need not be counted to its end.
    fn new(request: &Request, counter: &Counter, enough: u64) -> Self {
        let counts = request.messages.iter().map(|message| counter.message(message, enough)).collect();
        let fixed = counter.fixed(request);
        let mut draft =
            Self { messages: request.messages.clone(), counts, fixed, limit: enough, total_before: 0, dropped: 0 };
        draft.total_before = draft.total();
        draft
    }

    fn total(&self) -> u64 {
        self.counts.iter().fold(self.fixed, |sum, count| sum.saturating_add(*count))
    }

    /// The oldest first; never instructions, never the last ones, never half of a tool call and its result.
    fn drop_oldest(&mut self, keep_last: usize) {
        while self.total() > self.limit {
            let mut kept_from = self.messages.len().saturating_sub(keep_last.max(1));
            while kept_from > 0 && self.messages.get(kept_from).is_some_and(|m| m.speaker == Speaker::Tool) {
                kept_from -= 1;
            }
            let oldest = self.messages[..kept_from].iter().position(|message| message.speaker != Speaker::System);
            let Some(at) = oldest else { return };
            self.drop_at(at);
            // What is left begins with the user, as some providers demand.
            let mut droppable = kept_from - 1;
            while at < droppable && matches!(self.messages[at].speaker, Speaker::Tool | Speaker::Assistant) {
                self.drop_at(at);
                droppable -= 1;
            }
        }
    }

    fn drop_at(&mut self, at: usize) {
        self.messages.remove(at);
        self.counts.remove(at);
        self.dropped += 1;
    }

    /// Cuts the longest text until all fits; instructions only when nothing else is left to cut. False: it cannot be done.
    fn cut_texts(&mut self, how: OnOverflow, counter: &Counter) -> bool {
        for _ in 0..ROUNDS_MAX {
            let total = self.total();
            if total <= self.limit {
                return true;
            }
            let Some((message, part)) = self.longest(false).or_else(|| self.longest(true)) else { return false };
            let over = total - self.limit;
            let is_alone = self.messages[message].parts.len() == 1;
            let Part::Text(text) = &mut self.messages[message].parts[part] else { return false };
            // Beside others it is counted by itself: what they take is not in it to be cut.
            let own =
                if is_alone { self.counts[message].saturating_sub(PER_MESSAGE) } else { counter.text(text, u64::MAX) };
            // With room for the marker, and for what the cut itself may add where two tokens meet.
            let target = own.saturating_sub(over).saturating_sub(TEXT_MIN + 8).max(TEXT_MIN);
            if target + TEXT_MIN >= own && own <= 4 * TEXT_MIN {
                return false;
            }
            *text = match how {
                OnOverflow::TruncateMiddle => counter.without_middle(text, target),
                OnOverflow::Truncate | OnOverflow::Error => counter.without_end(text, target),
            };
            let now = counter.message(&self.messages[message], u64::MAX);
            if now >= self.counts[message] {
                return false;
            }
            self.counts[message] = now;
        }
        self.total() <= self.limit
    }

    /// The longest text that is worth cutting.
    fn longest(&self, of_system: bool) -> Option<(usize, usize)> {
        let texts =
            self.messages.iter().enumerate().filter(|(_, message)| (message.speaker == Speaker::System) == of_system);
        let parts = texts.flat_map(|(at, message)| {
            message.parts.iter().enumerate().filter_map(move |(nth, part)| match part {
                Part::Text(text) => Some((text.len(), at, nth)),
                Part::Media(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::Other(_) => None,
            })
        });
        parts.max_by_key(|(bytes, ..)| *bytes).filter(|(bytes, ..)| *bytes > 100).map(|(_, at, nth)| (at, nth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Overflow;
    use crate::resilience::context::window::{Sizes, narrowed};
    use crate::resilience::context::{Counting, KnownWindow};
    use crate::resilience::hash::tests::request;
    use proptest::prelude::*;

    const MODELS: [&str; 2] = ["gpt-4o", "some-local-model"];

    fn gpt() -> Counter {
        Counter::of_model("gpt-4o", Counting::default())
    }

    fn message(speaker: Speaker, text: &str) -> Message {
        Message { speaker, parts: vec![Part::Text(text.into())], cache: false, extra: Vec::new() }
    }

    fn text(message: &Message) -> &str {
        let Part::Text(text) = &message.parts[0] else { panic!() };
        text
    }

    fn conversation(texts: &[&str]) -> Request {
        let mut conversation = request("");
        conversation.messages = vec![message(Speaker::System, "Be brief.")];
        for (nth, text) in texts.iter().enumerate() {
            conversation.messages.push(message(if nth % 2 == 0 { Speaker::User } else { Speaker::Assistant }, text));
        }
        conversation
    }

    fn window(context: u64) -> Window {
        Window::new(KnownWindow::default(), context)
    }

    fn changed(fitted: Fitted) -> (Request, Option<Cut>) {
        match fitted {
            Fitted::Changed { request, cut } => (*request, cut),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let settings = ContextSettings::default();
        assert_eq!(fit(&conversation(&["hello"]), &gpt(), window(8_000), &settings), Fitted::Whole);
    }

    #[test]
    fn less_output_is_asked_for_before_input_is_cut() {
        let mut asked = conversation(&[&"word ".repeat(3_000)]);
        asked.max_output_tokens = Some(6_000);
        let (fitted, cut) = changed(fit(&asked, &gpt(), window(8_000), &ContextSettings::default()));
        assert_eq!((cut, &fitted.messages), (None, &asked.messages));
        assert!((4_000..5_500).contains(&fitted.max_output_tokens.unwrap()), "{:?}", fitted.max_output_tokens);
        let bounded = Window { max_output: Some(4_096), ..window(100_000) };
        let fitted = fit(&asked, &gpt(), bounded, &ContextSettings::default());
        assert_eq!(changed(fitted).0.max_output_tokens, Some(4_096));
    }

    #[test]
    fn the_oldest_messages_go_first_and_instructions_stay() {
        let long = "word ".repeat(1_000);
        let asked = conversation(&[&long, &long, &long, "and now?"]);
        let (fitted, cut) = changed(fit(&asked, &gpt(), window(4_096), &ContextSettings::default()));
        assert_eq!(
            fitted.messages.iter().map(|m| m.speaker).collect::<Vec<_>>(),
            [Speaker::System, Speaker::User, Speaker::Assistant]
        );
        let cut = cut.unwrap();
        assert_eq!((cut.messages_dropped, cut.how.as_str()), (2, "truncate"));
        assert!(cut.tokens_before > 3_000 && cut.tokens_after <= 2_096);
        assert_eq!(text(fitted.messages.last().unwrap()), "and now?");
    }

    #[test]
    fn texts_beside_each_other_in_one_message_are_cut_until_all_fit() {
        let mut asked = conversation(&["?"]);
        asked.messages[1].parts = vec![Part::Text("word ".repeat(30_000)); 4];
        let (fitted, cut) = changed(fit(&asked, &gpt(), window(8_000), &ContextSettings::default()));
        assert_eq!(fitted.messages[1].parts.len(), 4);
        let after = cut.unwrap().tokens_after;
        assert!((5_000..=6_000).contains(&after), "{after}");
    }

    #[test]
    fn the_longest_text_loses_its_end_or_its_middle() {
        let long = (0..5_000).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ");
        let asked = conversation(&[&long]);
        let (fitted, _) = changed(fit(&asked, &gpt(), window(4_096), &ContextSettings::default()));
        let kept = text(&fitted.messages[1]);
        assert!(
            kept.starts_with("word0 word1 ") && kept.contains("cut") && kept.len() < long.len() / 2,
            "{}",
            kept.len()
        );
        let middle = ContextSettings { on_overflow: OnOverflow::TruncateMiddle, ..ContextSettings::default() };
        let (fitted, _) = changed(fit(&asked, &gpt(), window(4_096), &middle));
        let kept = text(&fitted.messages[1]);
        assert!(kept.starts_with("word0 ") && kept.trim_end().ends_with("word4999"), "{kept}");
    }

    #[test]
    fn a_plugin_that_wants_to_split_is_told_the_numbers() {
        let mut asked = conversation(&[&"word ".repeat(5_000)]);
        asked.on_overflow = Some("error".into());
        let fitted = fit(&asked, &gpt(), window(4_096), &ContextSettings::default());
        let Fitted::TooLong { tokens, limit } = fitted else { panic!("{fitted:?}") };
        assert_eq!(limit, 2_096);
        assert!((4_900..6_000).contains(&tokens), "{tokens}");
    }

    #[test]
    fn an_input_limit_below_the_context_is_kept_to() {
        let asked = conversation(&[&"word ".repeat(3_000)]);
        let narrow = Window { max_input: Some(2_000), ..window(100_000) };
        let (fitted, cut) = changed(fit(&asked, &gpt(), narrow, &ContextSettings::default()));
        assert!(cut.unwrap().tokens_after <= 2_000);
        assert_eq!(fitted.max_output_tokens, None);
        let told = ContextSettings { on_overflow: OnOverflow::Error, ..ContextSettings::default() };
        let Fitted::TooLong { limit, .. } = fit(&asked, &gpt(), narrow, &told) else { panic!() };
        assert_eq!(limit, 2_000);
    }

    #[test]
    fn a_provider_that_counts_more_gets_less_and_the_output_is_lowered_first() {
        let mut asked = conversation(&[&"word ".repeat(3_000)]);
        asked.max_output_tokens = Some(4_000);
        let Fitted::Whole = fit(&asked, &gpt(), window(8_000), &ContextSettings::default()) else { panic!() };
        let ours = gpt().request(&asked);
        let refused = |theirs| {
            let told = Overflow { limit: Some(8_000), input: Some(theirs), output: Some(4_000), output_limit: None };
            let sent = Sizes { input: ours, output: Some(4_000) };
            narrowed(window(8_000), told, sent, false).unwrap().window
        };
        let (fitted, cut) = changed(fit(&asked, &gpt(), refused(5_000), &ContextSettings::default()));
        assert_eq!((cut, fitted.max_output_tokens, &fitted.messages), (None, Some(3_000), &asked.messages));
        let (_, cut) = changed(fit(&asked, &gpt(), refused(9_000), &ContextSettings::default()));
        let cut = cut.unwrap();
        assert_eq!(cut.tokens_before, 9_000);
        assert!((5_000..=6_000).contains(&cut.tokens_after), "{cut:?}");
    }

    #[test]
    fn half_of_a_tool_call_is_never_left() {
        let long = "word ".repeat(2_000);
        let mut asked = conversation(&[&long, "call", "x", "y"]);
        asked.messages[3].speaker = Speaker::Tool;
        let (fitted, _) = changed(fit(&asked, &gpt(), window(4_000), &ContextSettings::default()));
        let first = fitted.messages.iter().find(|m| m.speaker != Speaker::System).unwrap();
        assert_ne!(first.speaker, Speaker::Tool);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_is_called_fitting_fits_and_kept_text_is_of_the_original(
            texts in prop::collection::vec(("[a-zé漢🙂 ]{0,40}", 1_usize..400), 1..6),
            context in 200_u64..6_000,
            middle: bool,
            percent in 50_u64..300,
            model in 0_usize..2,
        ) {
            let texts: Vec<String> = texts.into_iter().map(|(word, times)| word.repeat(times)).collect();
            let asked = conversation(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let on_overflow = if middle { OnOverflow::TruncateMiddle } else { OnOverflow::Truncate };
            let settings = ContextSettings { on_overflow, reserve_output: 100, ..ContextSettings::default() };
            let counter = Counter::of_model(MODELS[model], Counting::default());
            let weighed = Window { weight: Weight::new(percent, 100), ..window(context) };
            let fitted = match fit(&asked, &counter, weighed, &settings) {
                Fitted::Whole => asked.clone(),
                Fitted::Changed { request, .. } => *request,
                Fitted::TooLong { .. } => return Ok(()),
            };
            let total = weighed.weight.theirs(counter.request(&fitted));
            prop_assert!(total <= context, "{total} of {context}");
            for kept in &fitted.messages {
                let kept = text(kept);
                let start = kept.split("\n[…").next().unwrap();
                prop_assert!(start == "Be brief." || texts.iter().any(|t| t.starts_with(start)) || "Be brief.".starts_with(start));
            }
        }
    }

    /// `cargo test --release -- --ignored --nocapture a_long_text_is_cut_fast`
    #[test]
    #[ignore = "prints a time, and asserts none"]
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    fn a_long_text_is_cut_fast() {
        let long = (0..40_000).map(|n| format!("word{}", n % 97)).collect::<Vec<_>>().join(" ")[..217_083].to_owned();
        let asked = conversation(&[&long]);
        fit(&asked, &gpt(), window(4_096), &ContextSettings::default());
        let began = std::time::Instant::now();
        for _ in 0..10 {
            fit(&asked, &gpt(), window(4_096), &ContextSettings::default());
        }
        eprintln!("{:?} for {} bytes", began.elapsed() / 10, long.len());
    }
}
