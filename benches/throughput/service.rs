//! The service as `retell serve` runs it, with the settings of a section.

use retell::app::App;
use retell::config::Config;
use retell::shutdown::Shutdown;
use tokio::net::TcpListener;

use crate::server::no_longer_wanted;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    log: String,
    #[arg(long)]
    views: String,
    #[arg(long)]
    partitions: u32,
    #[arg(long, value_delimiter = ',')]
    paused: Vec<String>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let mut config = Config::defaults();
    config.log.url = args.log.parse()?;
    config.log.partitions = args.partitions;
    config.views.url = args.views.parse()?;
    config.read.paused = args.paused;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = App::builder(config).shipped().build().await?;
    app.ready().await;
    println!("{address}");
    let shutdown = Shutdown::default();
    let asked = shutdown.clone();
    tokio::spawn(async move {
        no_longer_wanted().await;
        asked.request();
    });
    let router = app.router();
    Ok(app.serve(listener, router, shutdown).await?)
}
