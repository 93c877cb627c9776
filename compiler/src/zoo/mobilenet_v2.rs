//! MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018, arXiv:1801.04381).

use super::{Config, scaled};
use tern_network::{Builder, Error, Network};

/// Expansion, channels, blocks and the first block's stride of each stage.
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];
/// Below this size the stem and the second stage keep the size of images.
const SMALL: usize = 96;

pub(super) fn build(name: &str, config: &Config) -> Result<Network, Error> {
    let size = config.image_size;
    let small = size < SMALL;
    let mut net = Builder::new(name, [config.channels, size, size]);
    let x = net.input();
    let stem = scaled(32, config.width);
    let x = net.conv("features.0.0", x, stem, 3, if small { 1 } else { 2 });
    let x = net.batch_norm("features.0.1", x);
    let mut x = net.relu6("features.0.2", x);
    let mut number = 1;
    for (s, [expand, channels, blocks, stride]) in STAGES.into_iter().enumerate() {
        let channels = scaled(channels, config.width);
        for b in 0..blocks {
            let stride = if b > 0 || small && s == 1 { 1 } else { stride };
            let part = |part: &str| format!("features.{number}.conv.{part}");
            let input = net.channels(x);
            let mut y = x;
            let mut i = 0;
            if expand > 1 {
                y = net.conv(&part("0.0"), y, input * expand, 1, 1);
                y = net.batch_norm(&part("0.1"), y);
                y = net.relu6(&part("0.2"), y);
                i = 1;
            }
            y = net.depthwise(&part(&format!("{i}.0")), y, 3, stride);
            y = net.batch_norm(&part(&format!("{i}.1")), y);
            y = net.relu6(&part(&format!("{i}.2")), y);
            y = net.conv(&part(&format!("{}", i + 1)), y, channels, 1, 1);
            y = net.batch_norm(&part(&format!("{}", i + 2)), y);
            x = if stride == 1 && input == channels {
                net.add(&format!("features.{number}.add"), x, y)
            } else {
                y
            };
            number += 1;
        }
    }
    let last = scaled(1280, config.width.max(1.0));
    let x = net.conv("features.18.0", x, last, 1, 1);
    let x = net.batch_norm("features.18.1", x);
    let x = net.relu6("features.18.2", x);
    let x = net.global_average_pool("avgpool", x);
    let x = net.flatten("flatten", x);
    let x = net.dropout("classifier.0", x, 0.2);
    net.linear("classifier.1", x, config.classes);
    net.finish()
}
