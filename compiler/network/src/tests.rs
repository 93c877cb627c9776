use super::*;

/// A block as residual networks have it: 3x3, batch norm, ReLU, 3x3, batch norm,
/// added to a strided 1x1 of its input.
fn block(net: &mut Builder, x: NodeId) -> NodeId {
    let y = net.conv("layer1.0.conv1", x, 8, 3, 2);
    let y = net.batch_norm("layer1.0.bn1", y);
    let y = net.relu("layer1.0.relu1", y);
    let y = net.conv("layer1.0.conv2", y, 8, 3, 1);
    let y = net.batch_norm("layer1.0.bn2", y);
    let short = net.conv("layer1.0.downsample.0", x, 8, 1, 2);
    let short = net.batch_norm("layer1.0.downsample.1", short);
    let sum = net.add("layer1.0.add", y, short);
    net.relu("layer1.0.relu2", sum)
}

fn residual() -> Network {
    let mut net = Builder::new("residual", [3, 9, 6]);
    let x = net.input();
    let x = net.conv("conv1", x, 4, 3, 1);
    let x = block(&mut net, x);
    let x = net.depthwise("dw", x, 5, 1);
    let x = net.relu6("act", x);
    let x = net.max_pool("pool", x, 3, 2, 1);
    let x = net.global_average_pool("avgpool", x);
    let x = net.flatten("flatten", x);
    let x = net.dropout("dropout", x, 0.2);
    net.linear("fc", x, 10);
    net.finish().unwrap()
}

#[test]
fn shapes_follow_from_the_input() {
    let net = residual();
    let shape = |name: &str| net.shape(net.node(name).unwrap()).to_vec();
    assert_eq!(shape("input"), [3, 9, 6]);
    assert_eq!(shape("conv1"), [4, 9, 6]);
    assert_eq!(shape("layer1.0.conv1"), [8, 5, 3]);
    assert_eq!(shape("layer1.0.relu2"), [8, 5, 3]);
    assert_eq!(shape("pool"), [8, 3, 2]);
    assert_eq!(shape("avgpool"), [8, 1, 1]);
    assert_eq!(shape("flatten"), [8]);
    assert_eq!((net.input(), net.classes()), ([3, 9, 6], 10));
}

#[test]
fn parameters_are_pytorchs() {
    let net = residual();
    let names: Vec<String> = net.parameters().map(|p| p.name).collect();
    assert_eq!(
        names[..6],
        [
            "conv1.weight",
            "layer1.0.conv1.weight",
            "layer1.0.bn1.weight",
            "layer1.0.bn1.bias",
            "layer1.0.bn1.running_mean",
            "layer1.0.bn1.running_var"
        ]
    );
    assert_eq!(names[names.len() - 2..], ["fc.weight", "fc.bias"]);
    let shape = |name: &str| net.parameters().find(|p| p.name == name).unwrap().shape;
    assert_eq!(shape("layer1.0.conv1.weight"), [8, 4, 3, 3]);
    assert_eq!(shape("dw.weight"), [8, 1, 5, 5]);
    assert_eq!(shape("fc.weight"), [10, 8]);
    // Convolutions, batch norms' factors and summands, classifier.
    let convolutions = 4 * 3 * 9 + 8 * 4 * 9 + 8 * 8 * 9 + 8 * 4 + 8 * 25;
    assert_eq!(net.parameter_count(), convolutions + 3 * 2 * 8 + 90);
}

#[test]
fn macs_count_weights_alone() {
    let net = residual();
    let half = 5 * 3;
    let convolutions = 54 * 4 * 27 + half * (8 * 36 + 8 * 72 + 8 * 4 + 8 * 25);
    assert_eq!(net.macs(), convolutions + 80);
}

#[test]
fn weight_layers_and_readers() {
    let net = residual();
    let names: Vec<&str> = net
        .weight_layers()
        .map(|id| net.nodes()[id.0].name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "conv1",
            "layer1.0.conv1",
            "layer1.0.conv2",
            "layer1.0.downsample.0",
            "dw",
            "fc"
        ]
    );
    let depthwise = |name: &str| match net.nodes()[net.node(name).unwrap().0].layer {
        Layer::Conv2d(c) => c.is_depthwise(),
        _ => false,
    };
    assert!(depthwise("dw") && !depthwise("conv1"));
    let stem = net.node("conv1").unwrap();
    assert_eq!(net.readers()[stem.0].len(), 2);
}

/// The message of a network that is wrong in one way.
fn message(make: impl FnOnce(&mut Builder)) -> String {
    let mut net = Builder::new("n", [2, 4, 4]);
    make(&mut net);
    net.finish().unwrap_err().0
}

#[test]
fn errors_name_the_node() {
    let conv = Conv2d {
        inputs: 2,
        outputs: 4,
        kernel: 3,
        stride: 1,
        padding: 1,
        groups: 1,
        bias: false,
    };
    let with = |change: &dyn Fn(&mut Conv2d)| {
        let mut conv = conv;
        change(&mut conv);
        message(|net| {
            net.push("c", Layer::Conv2d(conv), &[NodeId(0)]);
        })
    };
    let channels = with(&|c| c.inputs = 3);
    assert_eq!(
        channels,
        "network \"n\": Conv2d \"c\": takes 3 input channels, is given 2"
    );
    assert!(with(&|c| c.groups = 4).contains("4 groups do not divide 2 input"));
    assert!(with(&|c| c.stride = 0).contains("a size of 0"));
    assert!(
        with(&|c| (c.kernel, c.padding) = (7, 1))
            .contains("a window of 7 does not fit 4 with padding 1")
    );
    assert!(with(&|_| ()).contains("ends in [4, 4, 4]"));

    let twice = message(|net| {
        let x = net.relu("a", NodeId(0));
        net.relu("a", x);
    });
    assert!(
        twice.contains("Relu \"a\": another node has the same name"),
        "{twice}"
    );
    let unread = message(|net| {
        net.relu("a", NodeId(0));
        let x = net.flatten("f", NodeId(0));
        net.linear("fc", x, 2);
    });
    assert!(unread.contains("nothing reads \"a\""), "{unread}");
    let later = message(|net| {
        net.push("a", Layer::Relu, &[NodeId(1)]);
    });
    assert!(later.contains("reads node 1, a later one"), "{later}");
    let different = message(|net| {
        let a = net.conv("a", NodeId(0), 3, 1, 1);
        net.add("sum", a, NodeId(0));
    });
    assert!(
        different.contains("Add \"sum\": adds [3, 4, 4] and [2, 4, 4]"),
        "{different}"
    );
    let image = message(|net| {
        net.linear("fc", NodeId(0), 2);
    });
    assert!(
        image.contains("Linear \"fc\": reads [2, 4, 4], not a vector"),
        "{image}"
    );
    let second = message(|net| {
        net.push("other", Layer::Input([1, 1, 1]), &[]);
    });
    assert!(second.contains("must be the first node"), "{second}");
    assert!(Network::new("n", Vec::new()).is_err());
}

#[test]
fn pairs_may_lie_apart() {
    // Two channels of three taps, channels outside and inside.
    let outside = [1.0, -5.0, 3.0, -2.0, 4.0, 3.0];
    let inside = [1.0, -2.0, -5.0, 4.0, 3.0, 3.0];
    let (mut a, mut b) = ([9i8; 6], [9i8; 6]);
    let scales = [
        fit::one_of_two(&outside, 3, &mut a),
        fit::one_of_two(&inside, 1, &mut b),
    ];
    assert_eq!(scales, [10.0 / 3.0; 2]);
    assert_eq!(a, [0, -1, 1, -1, 0, 0]);
    assert_eq!(b, [0, -1, -1, 0, 1, 0]);
}

#[test]
fn three_of_four_drops_the_smallest_and_the_last_of_equals() {
    // Two taps, eight channels; and the same with channels innermost.
    let inside = [
        [1.0, -2.0, -1.0, 4.0, 0.0, 0.0, 0.0, -3.0],
        [5.0, 5.0, -5.0, 5.0, -0.5, 0.25, 1.0, -2.0],
    ];
    let outside: Vec<f32> = (0..8).flat_map(|c| inside.map(|tap| tap[c])).collect();
    let (mut a, mut b) = ([9i8; 16], [9i8; 16]);
    let scales = [
        fit::three_of_four(inside.as_flattened(), 1, &mut a),
        fit::three_of_four(&outside, 2, &mut b),
    ];
    // 7 + 3 + 15 + 3.5, of twelve that stay.
    assert_eq!(scales, [28.5 / 12.0; 2]);
    assert_eq!(a[..8], [1, -1, 0, 1, 1, 1, 0, -1]);
    assert_eq!(a[8..], [1, 1, -1, 0, -1, 0, 1, -1]);
    let taps: Vec<i8> = (0..8).flat_map(|c| [a[c], a[8 + c]]).collect();
    assert_eq!(b[..], taps);
}

#[test]
fn the_mean_threshold_keeps_what_is_beyond_it() {
    let mut trits = [9i8; 5];
    // The mean is 1, so 0.75 stays and 0.625 does not: 3.75 of three that stay.
    let scale = fit::mean_threshold(&[0.75, -0.625, 2.0, -1.0, 0.625], &mut trits);
    assert_eq!(scale, 1.25);
    assert_eq!(trits, [1, 0, 1, -1, 0]);
    // What is ternary already stays as it is.
    let mut again = [9i8; 5];
    let ternary = trits.map(|t| f32::from(t) * scale);
    assert_eq!(fit::mean_threshold(&ternary, &mut again), scale);
    assert_eq!(again, trits);
    assert_eq!(fit::mean_threshold(&[0.0; 5], &mut trits), 0.0);
    assert_eq!(trits, [0; 5]);
}

#[test]
fn threshold_prefers_the_earlier_of_equals() {
    let mut trits = [9i8; 5];
    // Two of magnitude 1 stay: 4 / 2 is more than 1 / 1 and 2.2^2 / 3.
    let scale = fit::threshold(&[0.2, -1.0, 0.0, 1.0, 0.1], &mut trits);
    assert_eq!((scale, trits), (1.0, [0, -1, 0, 1, 0]));
    assert_eq!(fit::threshold(&[0.0; 5], &mut trits), 0.0);
    assert_eq!(trits, [0; 5]);
}
