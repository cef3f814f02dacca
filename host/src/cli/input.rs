//! What `--input` names: a file, a folder, a pattern, stdin, or another job.

use super::compiling::this_program;
use super::job_ref::JobRef;
use super::run_args::RunArgs;
use crate::config::{self, Config};
use crate::input::{self, Decoder, Format, Options, Records};
use crate::results;
use crate::store::{JobName, Reader};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

const STDIN: &str = "-";
const JOB: &str = "job:";
const FORMATS: &str = "jsonl, csv, lines or parquet";

/// Of address space, for decoding a Parquet file. What a page holds is there packed, unpacked and as values; most have a megabyte.
pub(super) const PARQUET_MEMORY: u64 = 2 << 30;
const PARQUET_MEMORY_LEAST: u64 = 64 << 20;

/// Where items come from, once stdin is kept.
pub(super) enum Source {
    Path { path: PathBuf, format: Format },
    Job { dir: PathBuf, job: JobName },
}

/// So that the input is found from any folder; a job's name becomes the path of its file.
pub(super) fn absolute(input: &Path, store_dir: &Path) -> anyhow::Result<PathBuf> {
    if input == Path::new(STDIN) {
        return Ok(input.to_path_buf());
    }
    let Some(job) = input.to_str().and_then(|text| text.strip_prefix(JOB)) else {
        // Without the slash at the end of a folder.
        return Ok(std::path::absolute(input)?.components().collect());
    };
    // With a folder, the settings say nothing of it.
    let job = JobRef::new(job, Some(store_dir), &Config::default())?;
    Ok(PathBuf::from(format!("{JOB}{}", job.path_anywhere()?)))
}

fn has_extension(job: &str) -> bool {
    Path::new(job).extension().is_some_and(|extension| extension == "db")
}

impl Source {
    /// `input` is absolute, and not stdin.
    pub(super) fn of(input: &Path, input_format: Option<&str>) -> anyhow::Result<Self> {
        if let Some(file) = input.to_str().and_then(|text| text.strip_prefix(JOB)) {
            if input_format.is_some() {
                bail!("{}: a job's outputs have one form: leave out --input-format", input.display());
            }
            let (file, wrong) = (Path::new(file), || format!("{file} is no job's file: name a .db file, or the job"));
            if !has_extension(&file.to_string_lossy()) {
                bail!(wrong());
            }
            let dir = file.parent().with_context(wrong)?.to_path_buf();
            let stem = file.file_stem().and_then(|stem| stem.to_str()).with_context(wrong)?;
            return Ok(Self::Job { dir, job: JobName::new(stem)? });
        }
        let format = match input_format {
            Some(name) => Format::parse(name)
                .with_context(|| format!("--input-format {name} is not known: say {FORMATS}, or files"))?,
            None => Format::detect(input).with_context(|| {
                format!("{}: its name does not tell its format: say --input-format {FORMATS}", input.display())
            })?,
        };
        Ok(Self::Path { path: input.to_path_buf(), format })
    }

    /// As it is stored with the job.
    pub(super) fn stored(&self) -> (PathBuf, Option<String>) {
        match self {
            Self::Path { path, format } => (path.clone(), Some(format.name().to_owned())),
            Self::Job { dir, job } => (format!("{JOB}{}", dir.join(format!("{job}.db")).display()).into(), None),
        }
    }

    pub(super) fn format_name(&self) -> &'static str {
        match self {
            Self::Path { format, .. } => format.name(),
            Self::Job { .. } => "job",
        }
    }

    /// The same as long as nobody wrote to it; `None`: that cannot be told without reading it.
    pub(super) fn stamp(&self) -> Option<String> {
        match self {
            Self::Path { path, format } => input::stamp(path, *format),
            Self::Job { .. } => None,
        }
    }

    /// Tells one input from another.
    pub(super) fn digest(&self) -> anyhow::Result<String> {
        Ok(match self {
            Self::Path { path, format } => input::digest(path, *format)?,
            Self::Job { dir, job } => results::chain_digest(&Reader::open(dir, job)?)?,
        })
    }

    pub(super) fn records(
        &self,
        id_field: Option<&str>,
        map: &[(String, String)],
        config: &Config,
    ) -> anyhow::Result<Records> {
        match self {
            Self::Path { path, format } => {
                let options = Options { format: *format, id_field: id_field.map(Into::into), map: map.to_vec() };
                Ok(input::open_path(path, &options, &decoder(config)?)?)
            }
            Self::Job { .. } if id_field.is_some() => {
                bail!("the outputs of a job keep the ids of its items: leave out --id-field")
            }
            Self::Job { dir, job } => {
                input::check_map(map)?;
                Ok(Box::new(results::chain(Reader::open(dir, job)?, job.as_str(), map.to_vec())))
            }
        }
    }

    /// What is not among the items and may come later.
    pub(super) fn warning(&self) -> anyhow::Result<Option<String>> {
        let Self::Job { dir, job } = self else { return Ok(None) };
        let counts = Reader::open(dir, job)?.counts()?;
        if counts.pending() + counts.failed == 0 {
            return Ok(None);
        }
        Ok(Some(format!(
            "warning: of the {} items of job {job}, {} are pending and {} have failed: what is done is taken; finish that job, and run this one again for the rest",
            counts.total,
            counts.pending(),
            counts.failed
        )))
    }
}

/// How Parquet files are decoded.
pub(super) fn decoder(config: &Config) -> anyhow::Result<Decoder> {
    let memory_bytes = config.input.parquet_memory.unwrap_or(PARQUET_MEMORY);
    if memory_bytes < PARQUET_MEMORY_LEAST {
        bail!("[input] parquet_memory is at least 64MiB");
    }
    Ok(Decoder::new(this_program()?, memory_bytes))
}

/// That there is an input is found out before anything is compiled. `args` hold absolute paths.
pub(super) fn check(args: &RunArgs, config: &Config) -> anyhow::Result<()> {
    if args.input == Path::new(STDIN) {
        return Ok(());
    }
    let source = Source::of(&args.input, args.input_format.as_deref())?;
    if let (Source::Job { dir, job }, Some(store), Some(own)) = (&source, &args.store, &args.job)
        && (dir, job.as_str()) == (store, own.as_str())
    {
        bail!("job {job} cannot be its own input: give this one another name with --job");
    }
    let records = source.records(args.id_field.as_deref(), &args.map, config);
    match (records, &source) {
        (Err(error), Source::Path { path, .. }) if !path.exists() => {
            bail!("{error:#}{}", config::did_you_mean_path(path, Path::exists))
        }
        (records, _) => records.map(|_| ()),
    }
}

/// The file that stdin is kept in.
pub(super) fn of_stdin(kept: PathBuf, input_format: Option<&str>) -> anyhow::Result<Source> {
    let Some(name) = input_format else {
        bail!("stdin has no extension to tell its format: say --input-format {FORMATS}");
    };
    match Format::parse(name) {
        Some(Format::Files) | None => bail!("--input-format {name} is no format of stdin: say {FORMATS}"),
        Some(format) => Ok(Source::Path { path: kept, format }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_or_pointed_at_and_found_from_anywhere() {
        let of = |text: &str| absolute(Path::new(text), Path::new("/s")).unwrap();
        assert_eq!(of("job:a-1"), Path::new("job:/s/a-1.db"));
        assert_eq!(of("job:/x/b.db"), Path::new("job:/x/b.db"));
        assert!(of("job:b.db").ends_with("b.db") && of("job:b.db") != Path::new("job:/s/b.db"));
        assert_eq!(of("/x/scans/"), Path::new("/x/scans"));
        assert_eq!(of("-"), Path::new("-"));
        assert!(absolute(Path::new("job:a b"), Path::new("/s")).is_err());
        let source = Source::of(Path::new("job:/s/a-1.db"), None).unwrap();
        assert_eq!(source.stored(), (PathBuf::from("job:/s/a-1.db"), None));
        assert!(Source::of(Path::new("job:/s/a-1.db"), Some("csv")).is_err());
        assert!(Source::of(Path::new("job:/s/a-1"), None).is_err());
    }
}
