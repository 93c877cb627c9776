//! EfficientNet-Lite0: EfficientNet-B0 (Tan and Le 2019, arXiv:1905.11946) without
//! squeeze-and-excitation, with ReLU6.

use super::{Config, scaled};
use tern_network::{Builder, Error, Network};

/// Expansion, channels, blocks, the first block's stride, and window of each stage.
const STAGES: [[usize; 5]; 7] = [
    [1, 16, 1, 1, 3],
    [6, 24, 2, 2, 3],
    [6, 40, 2, 2, 5],
    [6, 80, 3, 2, 3],
    [6, 112, 3, 1, 5],
    [6, 192, 4, 2, 5],
    [6, 320, 1, 1, 3],
];

pub(super) fn build(name: &str, config: &Config) -> Result<Network, Error> {
    let mut net = Builder::new(
        name,
        [config.channels, config.image_size, config.image_size],
    );
    let x = net.input();
    let x = net.conv("conv_stem", x, 32, 3, 2);
    let x = net.batch_norm("bn1", x);
    let mut x = net.relu6("act1", x);
    for (s, [expand, channels, blocks, stride, kernel]) in STAGES.into_iter().enumerate() {
        let channels = scaled(channels, config.width);
        for b in 0..blocks {
            let stride = if b > 0 { 1 } else { stride };
            let part = |part: &str| format!("blocks.{s}.{b}.{part}");
            let input = net.channels(x);
            let mut y = x;
            let mut norm = 1;
            if expand > 1 {
                y = net.conv(&part("conv_pw"), y, input * expand, 1, 1);
                y = net.batch_norm(&part("bn1"), y);
                y = net.relu6(&part("act1"), y);
                norm = 2;
            }
            y = net.depthwise(&part("conv_dw"), y, kernel, stride);
            y = net.batch_norm(&part(&format!("bn{norm}")), y);
            y = net.relu6(&part(&format!("act{norm}")), y);
            let project = if expand > 1 { "conv_pwl" } else { "conv_pw" };
            y = net.conv(&part(project), y, channels, 1, 1);
            y = net.batch_norm(&part(&format!("bn{}", norm + 1)), y);
            x = if stride == 1 && input == channels {
                net.add(&part("add"), x, y)
            } else {
                y
            };
        }
    }
    let x = net.conv("conv_head", x, 1280, 1, 1);
    let x = net.batch_norm("bn2", x);
    let x = net.relu6("act2", x);
    let x = net.global_average_pool("global_pool", x);
    let x = net.flatten("flatten", x);
    let x = net.dropout("dropout", x, 0.2);
    net.linear("classifier", x, config.classes);
    net.finish()
}
