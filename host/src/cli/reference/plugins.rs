//! `[limits]`, `[trust]`, `[grants]`, `[sandbox]` and the policy: what plugins may do.

use super::{Default, Kind, Section, key, parser};
use crate::config;

pub(super) const LIMITS: Section = Section {
    heading: "`[limits]`",
    before: "Of one attempt of a plugin, and of one item. What each counts, and what happens then: [the sandbox](sandbox.md#limits).",
    after: "",
    shown_as: "limits",
    parser: parser::<config::Limits>(),
    keys: &[
        key("memory", Kind::Size, Default::Shown, "all of it together")
            .within("64KiB to 4GiB")
            .flag("`--limit-memory`"),
        key("table", Kind::Number, Default::Shown, "elements of all its tables together")
            .within("to 10,000,000")
            .flag("`--limit-table`"),
        key("stack", Kind::Size, Default::Shown, "its stack").within("64KiB to 64MiB").flag("`--limit-stack`"),
        key("cpu", Kind::Duration, Default::Shown, "the plugin's own processor time").flag("`--limit-cpu`"),
        key("host_time", Kind::Duration, Default::Shown, "processor time that the host spends for it")
            .flag("`--limit-host-time`"),
        key("wall", Kind::Duration, Default::Shown, "time, waiting for models not counted").flag("`--limit-wall`"),
        key("instances", Kind::Number, Default::Shown, "core instances of a component")
            .within("to 1,000")
            .flag("`--limit-instances`"),
        key("handles", Kind::Number, Default::Shown, "resources of the host held at once")
            .within("to 1,000,000")
            .flag("`--limit-handles`"),
        key("host_calls", Kind::Number, Default::Shown, "calls of the host's functions").flag("`--limit-host-calls`"),
        key("transfer", Kind::Size, Default::Shown, "between plugin and host in one call")
            .within("64KiB to 2GiB")
            .flag("`--limit-transfer`"),
        key("written", Kind::Size, Default::Shown, "what an attempt may write into folders that were granted")
            .flag("`--limit-written`"),
        key("output", Kind::Size, Default::Shown, "what an item may emit").within("to 1GiB").flag("`--limit-output`"),
        key("emissions", Kind::Number, Default::Shown, "values that an item may emit").flag("`--limit-emissions`"),
        key("depth", Kind::Number, Default::Shown, "how deep they may nest").within("to 120").flag("`--limit-depth`"),
        key("log", Kind::Size, Default::Shown, "what is kept of an attempt's log").flag("`--limit-log`"),
        key("log_lines", Kind::Number, Default::Shown, "the same in lines").flag("`--limit-log-lines`"),
        key("requests", Kind::Number, Default::Shown, "questions in one `complete-many`")
            .within("to 100,000")
            .flag("`--limit-requests`"),
        key("item_calls", Kind::Number, Default::Shown, "questions that an item may ask").flag("`--max-item-calls`"),
        key("item_tokens", Kind::Tokens, Default::Shown, "what an item may read and write").flag("`--max-item-tokens`"),
        key("item_cost", Kind::Dollars, Default::Shown, "what an item may cost").flag("`--max-item-cost`"),
    ],
};

pub(super) const TRUST: Section = Section {
    heading: "`[trust]`",
    before: "Which plugins may run; what it means is told in [sandbox.md](sandbox.md#trust).",
    after: "",
    shown_as: "trust",
    parser: parser::<config::Trust>(),
    keys: &[
        key(
            "keys",
            Kind::Texts("list of texts"),
            Default::Shown,
            "public keys of minisign, whose signatures count; a signature of theirs that is bad is refused in any case",
        ),
        key("require_signed", Kind::Bool, Default::Shown, "refuse plugins that none of them has signed"),
        key("require_pinned", Kind::Bool, Default::Shown, "refuse plugins that `plugin.lock` does not pin")
            .flag("`--locked`"),
        key(
            "insecure_registries",
            Kind::Texts("list of `HOST[:PORT]`"),
            Default::Shown,
            "registries that are asked without TLS; this machine always is",
        )
        .flag("`--insecure-registry`"),
    ],
};

pub(super) const GRANTS: Section = Section {
    heading: "`[grants.NAME]`",
    before: "What a plugin is given of the world; nothing, unless it stands here or is given by `--grant`, which adds to it. NAME is the plugin as a command
names it, in quotes: a path relative to this file, or `oci://REGISTRY/NAME`. What a plugin calls itself does not count. What each grant
means: [the sandbox](sandbox.md#grants).

    [grants.\"plugins/fetch\"]
    read = [\"corpus=/data\"]
    http = [\"api.example.com\"]
    routes = [\"small\"]",
    after: "",
    shown_as: "",
    parser: parser::<config::GivenTable>(),
    keys: &[
        key("read", Kind::Texts("list of `FOLDER[=AS]`"), Default::Said("none"), "folders whose files it may read; AS is where it sees them, by default `/` and the folder's own name").flag("`--grant read=…`"),
        key("write", Kind::Texts("list of `FOLDER[=AS]`"), Default::Said("none"), "folders whose files it may change, make and remove, too").flag("`--grant write=…`"),
        key("env", Kind::Texts("list of names"), Default::Said("none"), "environment variables, each by its name; never one that holds a key").flag("`--grant env=…`"),
        key("http", Kind::Texts("list of `[http://]HOST[:PORT][+private]`"), Default::Said("none"), "hosts that it may ask, over TLS unless it says `http://`; `*.example.com` is every name below; private addresses only where it says `+private`, or is an address itself").flag("`--grant http=…`"),
        key("clock", Kind::Bool, Default::Said("false"), "the real time").flag("`--grant clock`"),
        key("random", Kind::Bool, Default::Said("false"), "real random numbers").flag("`--grant random`"),
        key("routes", Kind::Texts("list of routes"), Default::Said("any"), "the routes that it may ask, those that step in among them"),
    ],
};

pub(super) const SANDBOX: Section = Section {
    heading: "`[sandbox]`",
    before: "How a plugin is made ready. A component is compiled in a process of its own, which these bound ([the security model](security.md#compiling)).",
    after: "",
    shown_as: "sandbox",
    parser: parser::<config::Sandbox>(),
    keys: &[
        key("cache", Kind::Path, Default::Said("`sandmill/compiled` in `$XDG_CACHE_HOME` or `~/.cache`; the environment variable `SANDMILL_CACHE` goes before the file"), "where compiled plugins are kept, at most 2 GiB").within("or `off`").flag("`--cache`"),
        key("compile_cpu", Kind::Duration, Default::Shown, "processor time that compiling a component may take").within("from 1s"),
        key("compile_memory", Kind::Size, Default::Shown, "address space that it may take").within("from 256MiB"),
    ],
};

pub(super) const POLICY: Section = Section {
    heading: "The policy file",
    before: "Bounds that neither flags nor `sandmill.toml` go beyond: `/etc/sandmill/policy.toml`, and the file that `SANDMILL_POLICY` names; where there
are both, both hold. What was set beyond a bound is refused with exit code 2, what nobody set is lowered to it, and nothing is raised. It is
applied to each run anew, to resumed ones too, and nothing of it is stored with a job.",
    after: "",
    shown_as: "",
    parser: parser::<config::Policy>(),
    keys: &[
        key("max_cost", Kind::Dollars, Default::Said("none"), "what a job may cost").flag("`--max-cost`"),
        key("max_tokens", Kind::Number, Default::Said("none"), "tokens that a job may read and write").flag("`--max-tokens`"),
        key("max_calls", Kind::Number, Default::Said("none"), "provider calls of a run").flag("`--max-calls`"),
        key("max_concurrency", Kind::Number, Default::Said("none"), "items in flight, live instances, calls at once on a route").flag("`--concurrency`, `--max-instances`, `--call-concurrency`"),
        key("max_traps", Kind::Number, Default::Said("none"), "items that may crash the plugin with none done in between; 0, which never stops, is beyond it").within("from 1").flag("`--max-traps`"),
        key("max_memory", Kind::Size, Default::Said("none"), "memory of an attempt").flag("`--limit-memory`"),
        key("limits", Kind::Table("table"), Default::Said("none"), "the most that each limit may be, by the keys of [`[limits]`](#limits)").flag("the flag of the key"),
        key("grants", Kind::Table("table"), Default::Said("any"), "what may be granted at all, by the keys of [`[grants.NAME]`](#grantsname) but `routes`; an empty table: nothing. Of folders, it is everything below those that stand there").flag("`--grant`"),
        key("providers", Kind::Texts("list of names"), Default::Said("any"), "the providers of all routes of the run").flag("`--provider`"),
        key("models", Kind::Texts("list of names"), Default::Said("any"), "the models of all routes of the run").flag("`--model`"),
        key("require_signed", Kind::Bool, Default::Said("false"), "refuse plugins that no trusted key has signed"),
        key("trusted_keys", Kind::Texts("list of texts"), Default::Said("`[trust] keys`"), "whose signatures count for it, whatever `sandmill.toml` trusts"),
        key("require_pinned", Kind::Bool, Default::Said("false"), "refuse plugins that `plugin.lock` does not pin"),
    ],
};
