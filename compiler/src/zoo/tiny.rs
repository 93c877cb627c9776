//! A network for the 8x8 digits.

use super::{Config, scaled};
use tern_network::{Builder, Error, Network};

pub(super) fn build(name: &str, config: &Config) -> Result<Network, Error> {
    let mut net = Builder::new(
        name,
        [config.channels, config.image_size, config.image_size],
    );
    let mut x = net.input();
    for (i, (channels, stride)) in [(16, 1), (32, 2), (32, 1)].into_iter().enumerate() {
        let i = i + 1;
        x = net.conv(
            &format!("conv{i}"),
            x,
            scaled(channels, config.width),
            3,
            stride,
        );
        x = net.batch_norm(&format!("bn{i}"), x);
        x = net.relu(&format!("relu{i}"), x);
    }
    // As in the residual networks: a classifier of all pixels is dense, and would be most of the file.
    let x = net.global_average_pool("avgpool", x);
    let x = net.flatten("flatten", x);
    net.linear("fc", x, config.classes);
    net.finish()
}
