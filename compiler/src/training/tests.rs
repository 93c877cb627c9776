use super::*;
use crate::host::Aligned;
use serde_json::Value;
use std::cell::Cell;
use tern_train::{Activations, Recipe};

/// Stops after so many steps.
struct After(Cell<u64>);

impl Watch for After {
    fn begin(&self, _: &str, _: u64, _: u64) {}
    fn step(&self, _: &Step) {
        self.0.set(self.0.get().saturating_sub(1));
    }
    fn epoch(&self, _: &Epoch) {}
    fn stop(&self) -> bool {
        self.0.get() == 0
    }
}

const NEVER: u64 = u64::MAX;

fn config(weights: Weights, activations: Activations) -> Config {
    Config {
        dataset: "digits".into(),
        weights,
        activations,
        from_scratch: true,
        training: Some(Recipe {
            epochs: 3,
            ..Config::default_recipe("tiny", "digits", weights)
        }),
        ..Config::default()
    }
}

fn losses(dir: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(dir.join("log.jsonl")).unwrap();
    let lines = log
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    lines
        .filter(|l| l["epoch"].is_null())
        .map(|l| l["loss"].to_string())
        .collect()
}

fn page(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("training.html")).unwrap()
}

#[test]
fn a_stop_anywhere_changes_no_loss_and_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, parts] = ["whole", "parts"].map(|n| folder.path().join(n));
    let config = config(Weights::N12, Activations::I8);
    let finished = run(&config, &whole, &After(Cell::new(NEVER))).unwrap();
    assert!(finished.top1 > 0.85, "{finished:?}");
    assert_eq!(finished.disagree, 0, "{finished:?}");
    for steps in [1, 57, 30] {
        let error = run(&config, &parts, &After(Cell::new(steps))).unwrap_err();
        assert!(error.to_string().contains("--resume"), "{error:#}");
        assert!(page(&parts).contains("Not finished"));
    }
    let again = Config::read(&config_of(&parts)).unwrap();
    run(&again, &parts, &After(Cell::new(NEVER))).unwrap();
    assert_eq!(losses(&whole), losses(&parts));
    for page in [page(&whole), page(&parts)] {
        assert!(!page.contains("Not finished") && page.contains("3 of 3"));
        // The first epoch's last step, which the second training was stopped before.
        assert!(page.contains("<title>1, "), "{page}");
    }
    let model = |dir: &Path| std::fs::read(dir.join("model.tern")).unwrap();
    assert_eq!(model(&whole), model(&parts));
}

#[test]
fn one_zero_in_four_is_trained_and_compiled() {
    let folder = tempfile::tempdir().unwrap();
    for activations in [Activations::F32, Activations::I8] {
        let dir = folder.path().join(activations.name());
        let config = config(Weights::N34, activations);
        let finished = run(&config, &dir, &After(Cell::new(NEVER))).unwrap();
        assert!(finished.top1 > 0.85, "{finished:?}");
        assert_eq!(finished.disagree, 0, "{finished:?}");
        let file = Aligned::new(&std::fs::read(dir.join("model.tern")).unwrap());
        let model = ternrt::Model::new(file.bytes()).unwrap();
        let codecs = |codec| model.tensors().filter(|t| t.codec == codec).count();
        assert_eq!(codecs(ternrt::Codec::N34), 2);
        assert_eq!(codecs(ternrt::Codec::T2), 0);
        let checkpoint = Checkpoint::load(&dir.join(CHECKPOINT)).unwrap();
        for (key, text) in [
            ("labels", "0\n1\n2\n3\n4\n5\n6\n7\n8\n9"),
            ("input_mean", "0"),
            ("input_std", "1"),
        ] {
            assert_eq!(model.metadata(key), Some(text));
            assert_eq!(checkpoint.metadata[key], text);
        }
    }
}

/// Dropout, ReLU6, depthwise and dense layers, strides, shortcuts of both kinds, a pool.
#[test]
fn with_integers_the_trainer_computes_the_bits_that_the_runtime_does() {
    let folder = tempfile::tempdir().unwrap();
    let models = [
        ("mobilenetv2", Weights::T2, Activations::I8),
        ("efficientnet-lite0", Weights::N12, Activations::I7),
        ("resnet8", Weights::N12, Activations::I8),
        ("resnet8", Weights::N34, Activations::I7),
        ("resnet8", Weights::F32, Activations::I8),
        ("resnet18-imagenet", Weights::T2, Activations::I8),
    ];
    for (model, weights, activations) in models {
        let mut config = config(weights, activations);
        config.model = model.into();
        config.network = Some(crate::zoo::Config {
            width: 0.25,
            channels: 1,
            image_size: 8,
            classes: 10,
        });
        config.training.as_mut().unwrap().epochs = 1;
        let config = config.resolved().unwrap();
        let name = format!("{model}, {weights:?}, {activations:?}");
        let dir = folder.path().join(&name);
        let finished = run(&config, &dir, &After(Cell::new(NEVER))).unwrap();
        assert_eq!(finished.disagree, 0, "{name}: {finished:?}");

        let network = config.network().unwrap();
        let test = open(&config, &network, Split::Test).unwrap();
        let images = images(test.as_ref()).unwrap();
        let policy = Policy::new(&network, weights, activations, &[]).unwrap();
        let mut engine = Cpu::new(&network, &policy, 0, images.largest());
        let checkpoint = Checkpoint::load(&dir.join(CHECKPOINT)).unwrap();
        engine.set_state(&checkpoint.tensors).unwrap();
        let bytes = std::fs::read(dir.join("model.tern")).unwrap();
        let options = crate::evaluate::Options::default();
        let seen =
            crate::evaluate::evaluate(&bytes, test.as_ref(), &options, &crate::pipeline::Silent)
                .unwrap();
        let own = tern_train::predict(&mut engine, &images).unwrap();
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        for (n, (own, row)) in own.chunks_exact(10).zip(seen.rows()).enumerate() {
            assert_eq!(bits(own), bits(row), "{name}, image {n}: {own:?} {row:?}");
        }
    }
}

#[test]
fn a_ternary_network_learns_from_a_twin_that_is_trained_first() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        from_scratch: false,
        ..config(Weights::T2, Activations::F32)
    };
    let finished = run(&config, folder.path(), &After(Cell::new(NEVER))).unwrap();
    assert!(
        finished.top1 > 0.9 && finished.disagree == 0,
        "{finished:?}"
    );
    assert!(folder.path().join("f32/model.tern").is_file());
    let checkpoint = Checkpoint::load(&folder.path().join(CHECKPOINT)).unwrap();
    assert_eq!(checkpoint.metadata["model"], "tiny");
}

#[test]
fn a_network_learns_from_a_teacher_of_another_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let train = |name: &str, config: &Config| {
        let dir = folder.path().join(name);
        run(config, &dir, &After(Cell::new(NEVER))).map(|_| dir)
    };
    let mut config = config(Weights::N34, Activations::I8);
    config.training.as_mut().unwrap().epochs = 1;
    let alone = train("alone", &config).unwrap();

    let mut teacher = config.clone();
    teacher.model = "resnet8".into();
    teacher.network = Some(crate::zoo::Config {
        width: 0.25,
        channels: 1,
        image_size: 8,
        classes: 10,
    });
    let resnet = train("resnet", &teacher).unwrap();
    config.teacher = Some(resnet.join(CHECKPOINT));
    let taught = train("taught", &config).unwrap();
    assert_ne!(losses(&alone), losses(&taught));
    assert!(page(&taught).contains("labels and") && page(&taught).contains("resnet"));
    // The same once more: what it is taught is the same.
    assert_eq!(losses(&taught), losses(&train("again", &config).unwrap()));

    teacher.network.as_mut().unwrap().image_size = 16;
    let wide = train("wide", &teacher).unwrap();
    config.teacher = Some(wide.join(CHECKPOINT));
    let error = format!("{:#}", train("refused", &config).unwrap_err());
    let (theirs, own) = (
        "resnet8 takes images of [1, 16, 16]",
        "tiny takes [1, 8, 8]",
    );
    assert!(error.contains(theirs) && error.contains(own), "{error}");
}

#[test]
fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("t");
    let never = || After(Cell::new(NEVER));
    let fails = |change: &dyn Fn(&mut Config)| {
        let mut config = config(Weights::F32, Activations::F32);
        change(&mut config);
        format!("{:#}", run(&config, &dir, &never()).unwrap_err())
    };
    assert!(fails(&|c| c.model = "resnet21".into()).contains("did you mean \"resnet20\""));
    assert!(fails(&|c| c.dataset = "digit".into()).contains("digits"));
    assert!(fails(&|c| c.training.as_mut().unwrap().lr = -1.0).contains("lr is -1"));
    assert!(fails(&|c| c.skip = vec!["layer9".into()]).contains("layer9"));
    assert!(fails(&|c| c.distil = Some("none.safetensors".into())).contains("none.safetensors"));
    assert!(fails(&|c| c.teacher = Some("none.safetensors".into())).contains("none.safetensors"));
    if !cfg!(feature = "libtorch") {
        assert!(fails(&|c| c.device = Device::Gpu).contains("--features libtorch"));
    }
    // A folder with another training.
    let short = config(Weights::F32, Activations::F32);
    assert!(run(&short, &dir, &After(Cell::new(2))).is_err());
    assert!(fails(&|c| c.weights = Weights::T2).contains("in another way"));
    let path = dir.join(CHECKPOINT);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(fails(&|_| ()).contains("damaged"));
    let file = folder.path().join("c.toml");
    std::fs::write(&file, "model = \"tiny\"\nepoch = 3\n").unwrap();
    let error = format!("{:#}", Config::read(&file).unwrap_err());
    assert!(
        error.contains("c.toml") && error.contains("epoch"),
        "{error}"
    );
}
