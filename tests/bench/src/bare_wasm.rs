//! Yardstick: the same items through the same component by wasmtime alone: a new store, an instance, one call, and all of it dropped; a thread a
//! processor, nothing stopped, counted or stored. A model is one that answers at once.

use crate::process;
use anyhow::{Context, anyhow};
use bindings::sandmill::plugin::{blobs, llm, log, types};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/1.0.0",
        world: "processor",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for State {}

impl log::Host for State {
    async fn log(&mut self, _level: log::Level, _message: String, _fields: Vec<types::Pair>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl blobs::Host for State {
    async fn read(&mut self, _name: String, _offset: u64, _length: u32) -> wasmtime::Result<Result<Vec<u8>, String>> {
        Ok(Err("there are none".to_owned()))
    }
}

impl llm::Host for State {
    async fn complete(&mut self, _request: llm::Request) -> wasmtime::Result<Result<llm::Response, llm::Error>> {
        tokio::task::yield_now().await;
        Ok(Ok(llm::Response {
            text: "a short answer, as they are".to_owned(),
            tool_calls: Vec::new(),
            finish: "stop".to_owned(),
            model: "m".to_owned(),
            usage: llm::Usage {
                input_tokens: 20,
                output_tokens: 6,
                cache_read_tokens: 0,
                cache_write_tokens: 0,
                reasoning_tokens: 0,
                extra: Vec::new(),
            },
            opaque: Vec::new(),
            cut: None,
            extra: Vec::new(),
        }))
    }

    async fn complete_many(
        &mut self,
        requests: Vec<llm::Request>,
    ) -> wasmtime::Result<Result<Vec<Result<llm::Response, llm::Error>>, llm::Error>> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(self.complete(request).await?);
        }
        Ok(Ok(answers))
    }

    async fn count_tokens(&mut self, _request: llm::Request) -> wasmtime::Result<Result<llm::TokenCount, llm::Error>> {
        Ok(Ok(llm::TokenCount { tokens: 20, window: None, exact: false, extra: Vec::new() }))
    }
}

/// What every thread has.
struct Work {
    engine: Engine,
    pre: bindings::ProcessorPre<State>,
    items: Vec<types::Item>,
    next: AtomicUsize,
    config: String,
}

pub(crate) fn run(component: &Path, input: &Path, config: String) -> anyhow::Result<()> {
    let items = items(input)?;
    through(component, items, config).map_err(|error| anyhow!("{error:#}"))
}

fn through(component: &Path, items: Vec<types::Item>, config: String) -> wasmtime::Result<()> {
    let engine = Engine::new(&engine_config())?;
    let component = Component::from_file(&engine, component)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    bindings::Processor::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    let pre = bindings::ProcessorPre::new(linker.instantiate_pre(&component)?)?;
    let work = Arc::new(Work { engine, pre, items, next: AtomicUsize::new(0), config });
    let threads = std::thread::available_parallelism()?.get();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build()?;
    let all = async {
        let tasks: Vec<_> = (0..threads).map(|_| tokio::spawn(each(Arc::clone(&work)))).collect();
        for task in tasks {
            task.await??;
        }
        wasmtime::Result::Ok(())
    };
    match process::tell(|| Ok(runtime.block_on(all))) {
        Ok(done) => done,
        Err(error) => Err(wasmtime::format_err!("{error:#}")),
    }
}

fn engine_config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.linear_memory_keep_resident(2 << 20)
        .table_keep_resident(64 << 10)
        .total_component_instances(64)
        .total_core_instances(256)
        .total_memories(64)
        .total_tables(256)
        .total_stacks(64)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        .pagemap_scan(wasmtime::Enabled::Auto);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

fn items(input: &Path) -> anyhow::Result<Vec<types::Item>> {
    let text = std::fs::read_to_string(input)?;
    let item = |(index, line): (u64, &str)| {
        let value: Value = serde_json::from_str(line)?;
        let id = value["id"].as_str().context("an item without an id")?.to_owned();
        Ok(types::Item { id, index, json: line.to_owned(), blobs: Vec::new(), extra: Vec::new() })
    };
    (0..).zip(text.lines()).map(item).collect()
}

async fn each(work: Arc<Work>) -> wasmtime::Result<()> {
    while let Some(item) = work.items.get(work.next.fetch_add(1, Ordering::Relaxed)) {
        let state = State { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&work.engine, state);
        let context = types::Context {
            job: "j".to_owned(),
            attempt: 1,
            config: work.config.clone(),
            budget: types::Budget { calls: None, tokens: None, micro_dollars: None, extra: Vec::new() },
            extra: Vec::new(),
        };
        let plugin = work.pre.instantiate_async(&mut store).await?;
        let outcome = plugin.sandmill_plugin_handler().call_process(&mut store, item, &context).await?;
        outcome.map_err(|failure| wasmtime::format_err!("{}: {}: {}", item.id, failure.code, failure.message))?;
    }
    Ok(())
}
