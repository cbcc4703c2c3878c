//! Private engines: a nats-server and a PostgreSQL that live and die with this process.
//!
//! `parley up` keeps them under its data directory; tests start them in scratch directories
//! (`testing`, behind the feature of that name). Both go through the same code.
//!
//! What holds for every engine:
//! - it listens on 127.0.0.1 only, on a port kept in its directory, so a restart has the same URL;
//! - it is in this process's group, and the kernel ends it when this process dies, however;
//! - whatever an earlier life of the same directory left behind is ended before it starts;
//! - [`supervise`](nats::NatsServer::supervise) starts it again when it dies.
//!
//! ```text
//! DIR/parley.lock                       one process a directory
//! DIR/nats/{nats.conf,port,store/…}     DIR/nats.log
//! DIR/postgres/{password,port,data/…}   DIR/postgres.log
//! ```

mod binaries;
mod engine;
mod error;
mod identity;
mod leftovers;
mod lock;
pub mod nats;
mod nats_probe;
mod ports;
pub mod postgres;
mod process;
mod spawn;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::EngineError;
pub use lock::DirLock;
