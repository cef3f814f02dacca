//! The plugin that is to run, if one is named, and whom it would ask; or else everybody whom the settings name.

use super::super::endpoint;
use super::super::loading::{Giving, Loaded};
use super::super::routes::{self, Planned};
use super::super::trying::Trying;
use super::Looking;
use crate::domain::{Grants, sanitize_line};
use crate::sandbox::Manifest;
use bytesize::ByteSize;

impl Looking<'_> {
    /// The routes that there are. `None`: what was found wrong hides them.
    pub(super) fn plugin(&mut self, trying: &Trying) -> Option<Planned> {
        let loaded = self.args.plugin.is_some().then(|| trying.load(Giving::All, false)).transpose();
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                // Which grants are missing, for one, and how they are given.
                self.wrong("plugin", super::super::Failure::from(error).told(false));
                None
            }
        };
        if let Some(Loaded { plugin, component, granted }) = &loaded {
            let Manifest { name, version, .. } = plugin.manifest();
            let name = sanitize_line(&format!("{name} {version}"), 200);
            self.fine("plugin", format!("{name}, {}, loads", ByteSize(component.bytes.len() as u64)));
            self.grants(&component.needs.required.beyond(&granted.grants), &granted.grants);
        }
        self.routes(trying, loaded.as_ref())
    }

    fn grants(&mut self, missing: &Grants, given: &Grants) {
        let joined = |grants: &Grants| grants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match (missing.is_empty(), given.is_empty()) {
            (false, _) => self.wrong("grants", format!("it needs {}: give it with --grant", joined(missing))),
            (true, true) => self.fine("grants", "it is given nothing, and needs nothing"),
            (true, false) => self.fine("grants", format!("it is given {}", joined(given))),
        }
    }

    fn routes(&mut self, trying: &Trying, loaded: Option<&Loaded>) -> Option<Planned> {
        let (args, config) = (&trying.args, &trying.config);
        let mut is_fine = true;
        for name in config.provider.keys() {
            // The next one is looked at, too, whatever is wrong with this one.
            if let Err(error) = endpoint::provider_of(name, args, config, false) {
                is_fine = false;
                self.wrong("provider", format!("{error:#}"));
            }
        }
        let planned = match (loaded, self.args.trying.names_somebody()) {
            (Some(loaded), true) => trying.routes(loaded),
            (None, true) => routes::plan(args, config, &Manifest::unknown()),
            (_, false) if !is_fine => return None,
            // Everybody is looked at, once the plugin has somebody to ask.
            (Some(loaded), false) => trying.routes(loaded).and_then(|_| routes::plan_all(args, config)),
            (None, false) => routes::plan_all(args, config),
        };
        match planned {
            Err(error) => {
                self.wrong("routes", format!("{error:#}"));
                None
            }
            Ok(planned) if planned.all().is_empty() => {
                let needs = loaded.is_some_and(|loaded| loaded.plugin.manifest().needs_model());
                if !needs && loaded.is_some() {
                    self.fine("routes", "none, and the plugin needs none");
                } else {
                    self.warn(
                        "routes",
                        "nobody is named who could be asked: give --provider NAME --model NAME, or write a [route.NAME] into sandmill.toml",
                    );
                }
                Some(planned)
            }
            Ok(planned) => {
                let named: Vec<String> = planned
                    .all()
                    .iter()
                    .map(|it| format!("{} ({} at {})", it.route.name, it.route.model, it.provider))
                    .collect();
                self.fine("routes", named.join(", "));
                Some(planned)
            }
        }
    }
}
