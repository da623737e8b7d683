//! x
#![allow(clippy::unwrap_used, clippy::print_stdout)]
use camera_simulator::cli::Plan;
use camera_simulator::wire::{FieldNames, Wire};
use camera_simulator::{Cli, Generator, World};
use clap::Parser;
use lake::{Ambient, Settings, SystemAmbient};
fn main() {
    let cli = Cli::parse();
    let t = std::time::Instant::now();
    let plan = Plan::new(&cli, &Settings::default(), SystemAmbient.now()).unwrap();
    println!("plan {:?}", t.elapsed());
    let world = World::new(cli.seed, cli.cameras, plan.plates);
    println!("world {:?}", t.elapsed());
    let wire = Wire::new(FieldNames::new("kvfv_id", "timestamp", "vehicle_speed", "plate_number"));
    for render in [false, true] {
        let t = std::time::Instant::now();
        let (mut n, mut bytes, mut most) = (0u64, 0usize, 0usize);
        let mut out = Vec::new();
        let mut generator = Generator::new(&world, plan.schedule.clone(), cli.shares(), cli.seed);
        while let Some(d) = generator.next() {
            if render {
                wire.write(&world, &d, &mut out);
                bytes += out.len();
                if n < 3 || n == 500_000 {
                    println!("{}", String::from_utf8_lossy(&out));
                }
            }
            n += 1;
            if n % 1000 == 0 {
                most = most.max(generator.under_way());
            }
        }
        let s = t.elapsed().as_secs_f64();
        println!(
            "render {render}: {n} in {s:.3}s = {:.0}/s, {:.1} bytes each, under way at most {most}",
            n as f64 / s,
            bytes as f64 / n as f64
        );
    }
}
