//! A small server of EventStoreDB's public protocol: streams in memory, expected revisions, and faults on demand.
//!
//! It does what the journal asks of an EventStoreDB: `Streams.Read` of a stream and of `$all`, `Streams.Append`,
//! `ServerFeatures.GetSupportedMethods`. What else there is is unimplemented, and says so. That a real server behaves
//! like this is written in its documentation and shown by no test here.

mod memory;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use futures::stream::Iter;
use memory::Memory;
pub(crate) use memory::Stored;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::body::BoxBody;
use tonic::codec::ProstCodec;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{ClientStreamingService, Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::esdb_proto::{AppendReq, AppendResp, Empty, ReadReq, ReadResp, SupportedMethod, SupportedMethods};

/// What happens to an append.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is done, and the answer is lost.
    LoseAnswer,
    /// It is not done, and the answer is lost.
    LoseRequest,
}

pub(crate) struct Stub {
    address: SocketAddr,
    state: Arc<State>,
    serving: Option<(CancellationToken, JoinHandle<()>)>,
}

struct State {
    memory: Mutex<Memory>,
    faults: Mutex<VecDeque<Fault>>,
    /// Whether `GetSupportedMethods` is there: it is not before version 21.6.
    is_old: bool,
    /// Calls that would have been content with the answer of a follower.
    not_to_the_leader: AtomicUsize,
}

impl Stub {
    pub(crate) async fn start() -> Self {
        Self::start_with(false, 16 << 20).await
    }

    /// Starts one like a server before version 21.6, or one that takes events of so many bytes.
    pub(crate) async fn start_with(is_old: bool, append_bytes_max: usize) -> Self {
        let state = Arc::new(State {
            memory: Mutex::new(Memory::new(append_bytes_max)),
            faults: Mutex::default(),
            is_old,
            not_to_the_leader: AtomicUsize::new(0),
        });
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut stub = Self { address, state, serving: None };
        stub.start_again().await;
        stub
    }

    /// Serves again what is in memory.
    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let incoming = TcpIncoming::from_listener(listener, true, None).unwrap();
        let stop = CancellationToken::new();
        let state = &self.state;
        let router =
            Server::builder().add_service(Streams(Arc::clone(state))).add_service(ServerFeatures(Arc::clone(state)));
        let stopped = stop.clone().cancelled_owned();
        let serving = tokio::spawn(async move {
            router.serve_with_incoming_shutdown(incoming, stopped).await.unwrap();
        });
        self.serving = Some((stop, serving));
    }

    /// Closes its port and its connections.
    pub(crate) async fn stop(&mut self) {
        if let Some((stop, serving)) = self.serving.take() {
            stop.cancel();
            serving.await.unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("esdb://{}?tls=false", self.address)
    }

    /// Lets the next appends fail like this.
    pub(crate) fn fail(&self, faults: &[Fault]) {
        lock(&self.state.faults).extend(faults);
    }

    /// The events of a stream.
    pub(crate) fn stream(&self, name: &str) -> Vec<Stored> {
        lock(&self.state.memory).stream(name).cloned().collect()
    }

    /// Puts an event into a stream, as somebody else would.
    pub(crate) fn put(&self, stream: &str, id: u128, kind: &str, data: &[u8]) {
        let metadata = HashMap::from([
            ("type".to_owned(), kind.to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ]);
        lock(&self.state.memory).push(stream.as_bytes(), id, metadata, Vec::new(), data.to_vec());
    }

    pub(crate) fn calls_not_to_the_leader(&self) -> usize {
        self.state.not_to_the_leader.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

macro_rules! services {
    ($($name:ident = $service:literal;)*) => {$(
        #[derive(Clone)]
        struct $name(Arc<State>);

        impl NamedService for $name {
            const NAME: &'static str = $service;
        }

        impl Service<http::Request<BoxBody>> for $name {
            type Response = http::Response<BoxBody>;
            type Error = Infallible;
            type Future = BoxFuture<Self::Response, Infallible>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<BoxBody>) -> Self::Future {
                let state = Arc::clone(&self.0);
                Box::pin(async move { Ok(answer(state, request).await) })
            }
        }
    )*};
}

services! {
    Streams = "event_store.client.streams.Streams";
    ServerFeatures = "event_store.client.server_features.ServerFeatures";
}

const MESSAGE_BYTES_MAX: usize = 32 << 20;

async fn answer(state: Arc<State>, request: http::Request<BoxBody>) -> http::Response<BoxBody> {
    let path = request.uri().path().to_owned();
    if path.contains("Streams/") && request.headers().get("requires-leader").is_none_or(|it| it != "true") {
        state.not_to_the_leader.fetch_add(1, Ordering::Relaxed);
    }
    match path.as_str() {
        "/event_store.client.streams.Streams/Read" => {
            let codec = ProstCodec::<ReadResp, ReadReq>::default();
            Grpc::new(codec).server_streaming(Read(state), request).await
        }
        "/event_store.client.streams.Streams/Append" => {
            let codec = ProstCodec::<AppendResp, AppendReq>::default();
            let mut grpc = Grpc::new(codec).max_decoding_message_size(MESSAGE_BYTES_MAX);
            grpc.client_streaming(Append(state), request).await
        }
        "/event_store.client.server_features.ServerFeatures/GetSupportedMethods" if !state.is_old => {
            Grpc::new(ProstCodec::<SupportedMethods, Empty>::default()).unary(Features, request).await
        }
        _ => Status::unimplemented(path).into_http(),
    }
}

struct Features;

impl UnaryService<Empty> for Features {
    type Response = SupportedMethods;
    type Future = std::future::Ready<Result<Response<SupportedMethods>, Status>>;

    fn call(&mut self, _: Request<Empty>) -> Self::Future {
        let method = |name: &str| SupportedMethod {
            method_name: name.to_owned(),
            service_name: "event_store.client.streams.streams".to_owned(),
        };
        let methods = vec![method("read"), method("append")];
        let event_store_server_version = "24.10.0".to_owned();
        std::future::ready(Ok(Response::new(SupportedMethods { methods, event_store_server_version })))
    }
}

struct Read(Arc<State>);

impl ServerStreamingService<ReadReq> for Read {
    type Response = ReadResp;
    type ResponseStream = Iter<std::vec::IntoIter<Result<ReadResp, Status>>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<ReadReq>) -> Self::Future {
        let read = lock(&self.0.memory).read(request.into_inner());
        std::future::ready(
            read.map(|it| Response::new(futures::stream::iter(it.into_iter().map(Ok).collect::<Vec<_>>()))),
        )
    }
}

struct Append(Arc<State>);

impl ClientStreamingService<AppendReq> for Append {
    type Response = AppendResp;
    type Future = BoxFuture<Response<AppendResp>, Status>;

    fn call(&mut self, request: Request<Streaming<AppendReq>>) -> Self::Future {
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            let mut parts = request.into_inner();
            let (mut options, mut proposed) = (None, Vec::new());
            while let Some(part) = parts.message().await? {
                options = options.or(part.options);
                proposed.extend(part.message);
            }
            let options = options.ok_or_else(|| Status::invalid_argument("no options"))?;
            let fault = lock(&state.faults).pop_front();
            if matches!(fault, Some(Fault::LoseRequest)) {
                return Err(Status::unavailable("lost on the way there"));
            }
            let done = lock(&state.memory).append(options, proposed)?;
            match fault {
                Some(Fault::LoseAnswer) => Err(Status::unavailable("lost on the way back")),
                Some(Fault::LoseRequest) | None => Ok(Response::new(done)),
            }
        })
    }
}
