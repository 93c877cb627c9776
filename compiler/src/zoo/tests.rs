use super::*;

fn network(name: &str, change: impl Fn(&mut Config)) -> Network {
    let mut config = find(name).unwrap().default;
    change(&mut config);
    architecture(name, &config).unwrap()
}

#[test]
fn parameters_are_as_many_as_in_torchvision_and_timm() {
    let imagenet = |name: &str| network(name, |_| ()).parameter_count();
    assert_eq!(imagenet("resnet18-imagenet"), 11_689_512);
    assert_eq!(imagenet("mobilenetv2"), 3_504_872);
    assert_eq!(imagenet("efficientnet-lite0"), 4_652_008);
    assert_eq!(imagenet("resnet18"), 11_173_962);
    let half = network("mobilenetv2", |c| c.width = 0.5);
    assert_eq!(half.parameter_count(), 1_968_680);
    // Nine blocks with projections where the size changes.
    assert_eq!(imagenet("resnet20"), 272_474);
}

#[test]
fn names_are_theirs() {
    for (name, parameters) in [
        (
            "resnet18",
            &[
                "conv1.weight",
                "layer2.0.downsample.1.running_var",
                "layer4.1.bn2.bias",
                "fc.bias",
            ][..],
        ),
        (
            "mobilenetv2",
            &[
                "features.0.0.weight",
                "features.1.conv.0.0.weight",
                "features.1.conv.1.weight",
                "features.17.conv.3.weight",
                "features.18.1.running_mean",
                "classifier.1.weight",
            ],
        ),
        (
            "efficientnet-lite0",
            &[
                "conv_stem.weight",
                "blocks.0.0.conv_dw.weight",
                "blocks.0.0.bn2.weight",
                "blocks.6.0.conv_pwl.weight",
                "blocks.6.0.bn3.running_var",
                "conv_head.weight",
                "classifier.bias",
            ],
        ),
    ] {
        let network = network(name, |_| ());
        for wanted in parameters {
            assert!(
                network.parameters().any(|p| p.name == *wanted),
                "{name}: {wanted}"
            );
        }
    }
}

#[test]
fn sizes_are_parameters() {
    let grey = network("resnet20", |c| (c.channels, c.classes) = (1, 7));
    assert_eq!((grey.input(), grey.classes()), ([1, 32, 32], 7));
    let small = network("mobilenetv2", |c| (c.image_size, c.classes) = (32, 10));
    let last = small.node("features.18.2").unwrap();
    assert_eq!(small.shape(last), [1280, 4, 4]);
    assert!(
        architecture(
            "resnet20",
            &Config {
                width: 0.0,
                ..find("resnet20").unwrap().default
            }
        )
        .is_err()
    );
    let error = architecture("resnet21", &find("tiny").unwrap().default).unwrap_err();
    assert!(
        error.to_string().contains("did you mean \"resnet20\"?"),
        "{error}"
    );
}

#[test]
fn checkpoints_are_those_of_their_networks() {
    for (name, files) in [
        ("resnet20", &["f32", "n12-i7", "t2-i8"][..]),
        ("resnet8", &["f32", "n12-i8", "t2-i8"]),
    ] {
        let grey = network(name, |c| c.channels = 1);
        for file in files {
            let path = format!("assets/zoo/{name}-fashion-mnist-{file}.safetensors");
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            let tensors = tern_train::Checkpoint::load(&path).unwrap().tensors;
            let dense = tern_train::Policy::new(&grey, Default::default(), Default::default(), &[]);
            let mut cpu = tern_train::Cpu::new(&grey, &dense.unwrap(), 0, 1.0);
            tern_train::Engine::set_state(&mut cpu, &tensors).unwrap();
        }
    }
}
