use super::*;
use crate::engine::loss;
use tern_network::{Builder, Network};

/// Every kind of layer.
fn network() -> Network {
    let mut net = Builder::new("all", [2, 8, 8]);
    let x = net.input();
    let x = net.conv("conv1", x, 4, 3, 1);
    let x = net.batch_norm("bn1", x);
    let x = net.relu("relu1", x);
    let x = net.max_pool("pool", x, 3, 2, 1);
    let y = net.conv("conv2", x, 8, 1, 1);
    let y = net.batch_norm("bn2", y);
    let y = net.relu6("relu2", y);
    let y = net.depthwise("conv3", y, 3, 1);
    let y = net.batch_norm("bn3", y);
    let y = net.conv("conv4", y, 4, 3, 1);
    let y = net.batch_norm("bn4", y);
    let x = net.add("add", x, y);
    let x = net.relu("relu4", x);
    let x = net.conv("conv5", x, 6, 3, 2);
    let x = net.batch_norm("bn5", x);
    let x = net.flatten("flatten", x);
    let x = net.dropout("dropout", x, 0.25);
    net.linear("fc", x, 3);
    net.finish().unwrap()
}

/// Which nodes are in a product's op when a network is compiled.
#[test]
fn ops_end_where_the_compiler_fuses_them() {
    let ends = |net: &Network| -> Vec<(String, Option<String>)> {
        let policy = Policy::new(net, Weights::T2, Activations::I8, &[]).unwrap();
        let plan = crate::engine::Plan::new(net.clone(), policy, 1.0);
        let name = |n: usize| net.nodes()[n].name.clone();
        let layers = (0..net.nodes().len()).filter(|n| net.nodes()[*n].layer.has_weights());
        layers.map(|n| (name(n), plan.ends[n].map(name))).collect()
    };
    let expect = |net: &Network, expected: &[(&str, Option<&str>)]| {
        let own = |(name, end): &(&str, Option<&str>)| (name.to_string(), end.map(str::to_owned));
        assert_eq!(ends(net), expected.iter().map(own).collect::<Vec<_>>());
    };
    expect(
        &network(),
        &[
            ("conv1", Some("pool")),
            ("conv2", Some("relu2")),
            ("conv3", Some("bn3")),
            ("conv4", Some("relu4")),
            ("conv5", Some("flatten")),
            ("fc", None),
        ],
    );
    // An activation behind a pool is an op of its own; so is a second one.
    let mut net = Builder::new("late", [2, 8, 8]);
    let x = net.input();
    let x = net.conv("conv1", x, 4, 3, 1);
    let x = net.max_pool("pool", x, 2, 2, 0);
    let x = net.relu("relu1", x);
    let x = net.conv("conv2", x, 4, 3, 1);
    let x = net.relu("relu2", x);
    let x = net.relu6("relu3", x);
    let x = net.conv("conv3", x, 4, 3, 1);
    let x = net.dropout("dropout", x, 0.5);
    let x = net.relu("relu4", x);
    // Read by what takes no integers as well.
    let y = net.conv("conv4", x, 4, 3, 1);
    let y = net.relu("relu5", y);
    let x = net.add("add", x, y);
    let x = net.global_average_pool("mean", x);
    let x = net.flatten("flatten", x);
    net.linear("fc", x, 3);
    expect(
        &net.finish().unwrap(),
        &[
            ("conv1", None),
            ("conv2", None),
            ("conv3", None),
            ("conv4", None),
            ("fc", None),
        ],
    );
}

/// Squares, crosses and noise, told apart by where they are bright.
fn images(count: usize) -> Images {
    let labels: Vec<u8> = (0..count).map(|i| (i % 3) as u8).collect();
    let mut random = Random::new(7, &[]);
    let mut pixels = Vec::new();
    for label in &labels {
        for c in 0..2 {
            for i in 0..64 {
                let bright = i / 8 / 3 == usize::from(*label) && c == 0;
                pixels.push(if bright { 200 } else { 60 } + random.below(50) as u8);
            }
        }
    }
    Images::new([2, 8, 8], pixels, labels, &[0.4, 0.3], &[0.3, 0.2]).unwrap()
}

fn settings() -> Settings {
    Settings {
        step: 100,
        seed: 3,
        lr: 0.1,
        momentum: 0.9,
        weight_decay: 0.0,
        nesterov: true,
        blend: 1.0,
        label_smoothing: 0.1,
        distil: Distil::default(),
    }
}

fn engine(net: &Network, weights: Weights, activations: Activations) -> Cpu {
    let policy = Policy::new(net, weights, activations, &[]).unwrap();
    Cpu::new(net, &policy, 5, 2.0)
}

/// The gradient that a step with plain descent takes, by what it changes.
fn gradient(engine: &mut Cpu, batch: &Batch, teacher: &[f32]) -> Tensors {
    let before = engine.state().unwrap();
    let plain = Settings {
        lr: 1.0,
        momentum: 0.0,
        nesterov: false,
        ..settings()
    };
    engine.step(batch, Some(teacher), &plain).unwrap();
    let after = engine.state().unwrap();
    engine.set_state(&before).unwrap();
    let mut gradient = Tensors::new();
    for (name, old) in before {
        let mut tensor = old.clone();
        for (g, (old, new)) in tensor
            .data
            .iter_mut()
            .zip(old.data.iter().zip(&after[&name].data))
        {
            *g = old - new;
        }
        gradient.insert(name, tensor);
    }
    gradient
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let net = network();
    let mut engine = engine(&net, Weights::F32, Activations::F32);
    let batch = images(12).batch(&(0..12).collect::<Vec<_>>());
    let teacher: Vec<f32> = (0..36).map(|i| (i % 5) as f32 * 0.4).collect();
    let found = gradient(&mut engine, &batch, &teacher);
    let state = engine.state().unwrap();
    let mut at = |name: &str, i: usize, by: f32| {
        let mut state = state.clone();
        state.get_mut(name).unwrap().data[i] += by;
        engine.set_state(&state).unwrap();
        let still = Settings {
            lr: 0.0,
            ..settings()
        };
        engine.step(&batch, Some(&teacher), &still).unwrap().loss
    };
    let mut checked = 0;
    for parameter in net.parameters().filter(|p| p.role.is_trained()) {
        let mut random = Random::new(11, &[parameter.len() as u64]);
        let (mut worst, mut size) = (0f64, 1e-3f64);
        for _ in 0..6 {
            let i = random.below(parameter.len() as u64) as usize;
            let by = 2e-3;
            let expected =
                (at(&parameter.name, i, by) - at(&parameter.name, i, -by)) / f64::from(2.0 * by);
            let found = f64::from(found[&parameter.name].data[i]);
            worst = worst.max((found - expected).abs());
            size = size.max(expected.abs());
            checked += 1;
        }
        assert!(
            worst < 0.03 * size + 2e-3,
            "{}: {worst} of {size}",
            parameter.name
        );
    }
    assert!(checked > 60);
}

#[test]
fn the_loss_is_that_of_the_definition() {
    let s = Settings {
        label_smoothing: 0.2,
        distil: Distil {
            share: 0.25,
            temperature: 2.0,
        },
        ..settings()
    };
    let (z, q) = ([1.0, 2.0, -1.0], [0.5, 0.0, 1.5]);
    let mut g = [0.0; 3];
    let result = loss(&z, &[1], Some(&q), &s, &mut g);
    let softmax = |z: [f32; 3], t: f64| {
        let e = z.map(|z| (f64::from(z) / t).exp());
        e.map(|v| v / e.iter().sum::<f64>())
    };
    let p = softmax(z, 1.0);
    let target = [0.2 / 3.0, 0.8 + 0.2 / 3.0, 0.2 / 3.0];
    let hard: f64 = (0..3).map(|c| -target[c] * p[c].ln()).sum();
    let (p2, q2) = (softmax(z, 2.0), softmax(q, 2.0));
    let soft: f64 = (0..3).map(|c| q2[c] * (q2[c] / p2[c]).ln()).sum();
    assert!((result.loss - (0.75 * hard + 0.25 * 4.0 * soft)).abs() < 1e-6);
    assert_eq!(result.correct, 1);
    assert!(g.iter().sum::<f32>().abs() < 1e-6);
}

/// Trains for some steps; losses.
fn train(trainer: &mut Trainer<'_>, steps: usize) -> Vec<u64> {
    let mut losses = Vec::new();
    while losses.len() < steps {
        match trainer.step().unwrap() {
            Some(step) => losses.push(step.result.loss.to_bits()),
            None => break,
        }
    }
    losses
}

fn recipe() -> Recipe {
    Recipe {
        epochs: 6,
        batch_size: 16,
        lr: 0.05,
        blend: 0.5,
        augment: Augment {
            flip: true,
            shift: 1,
        },
        ..Recipe::default()
    }
}

#[test]
fn a_training_goes_on_from_its_file_bit_by_bit() {
    let (net, images) = (network(), images(60));
    let new = || Box::new(engine(&net, Weights::N12, Activations::I8));
    let mut whole = Trainer::new(recipe(), &images, new()).unwrap();
    let expected = train(&mut whole, usize::MAX);
    assert_eq!(expected.len(), 24);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut first = Trainer::new(recipe(), &images, new()).unwrap();
    let mut losses = train(&mut first, 9);
    first.checkpoint().unwrap().save(&path).unwrap();
    drop(first);
    let mut second = Trainer::new(recipe(), &images, new()).unwrap();
    second.resume(&Checkpoint::load(&path).unwrap()).unwrap();
    losses.extend(train(&mut second, usize::MAX));
    assert_eq!(losses, expected);
    let [a, b] = [whole, second].map(|t| t.checkpoint().unwrap());
    assert_eq!(a, b);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (net, images) = (network(), images(60));
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let engine = Box::new(engine(&net, Weights::T2, Activations::I7));
            train(&mut Trainer::new(recipe(), &images, engine).unwrap(), 12)
        })
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn every_kind_of_weights_learns() {
    let net = network();
    let (seen, unseen) = (images(120), images(33));
    let f32_twin = {
        let engine = Box::new(engine(&net, Weights::F32, Activations::F32));
        let mut trainer = Trainer::new(recipe(), &seen, engine).unwrap();
        train(&mut trainer, usize::MAX);
        trainer.checkpoint().unwrap().tensors
    };
    for (weights, activations, distil) in [
        (Weights::F32, Activations::F32, false),
        (Weights::T2, Activations::F32, false),
        (Weights::N12, Activations::I8, true),
        (Weights::T2, Activations::I7, true),
        (Weights::N34, Activations::I8, true),
    ] {
        let student = Box::new(engine(&net, weights, activations));
        let mut trainer = Trainer::new(recipe(), &seen, student).unwrap();
        if distil {
            let mut teacher = engine(&net, Weights::F32, Activations::F32);
            teacher.set_state(&f32_twin).unwrap();
            trainer.set_teacher(Box::new(teacher));
            trainer.begin_with(&f32_twin).unwrap();
        }
        train(&mut trainer, usize::MAX);
        let logits = predict(trainer.engine(), &unseen).unwrap();
        let right = logits
            .chunks_exact(3)
            .zip(unseen.labels())
            .filter(|(z, label)| {
                let label = usize::from(**label);
                (0..3).all(|c| c == label || z[c] < z[label])
            });
        let right = right.count();
        assert!(right >= 30, "{weights:?} {activations:?}: {right} of 33");
    }
}

#[test]
fn quantised_weights_have_their_pattern() {
    let net = network();
    let policy = Policy::new(&net, Weights::N12, Activations::F32, &["conv5".into()]).unwrap();
    let mut tensors = engine(&net, Weights::N12, Activations::F32)
        .state()
        .unwrap();
    let before = tensors.clone();
    quantise_weights(&net, &policy, &mut tensors).unwrap();
    for name in [
        "conv1.weight",
        "conv3.weight",
        "conv5.weight",
        "fc.weight",
        "bn1.weight",
    ] {
        assert_eq!(tensors[name], before[name], "{name} stays");
    }
    let w = &tensors["conv4.weight"];
    for (o, w) in w.data.chunks_exact(8 * 9).enumerate() {
        for pair in w.chunks_exact(18) {
            for tap in 0..9 {
                let zeros = [pair[tap], pair[tap + 9]]
                    .iter()
                    .filter(|w| **w == 0.0)
                    .count();
                assert_eq!(zeros, 1, "output {o}");
            }
        }
        let size = w.iter().fold(0f32, |most, w| most.max(w.abs()));
        assert!(w.iter().all(|w| *w == 0.0 || w.abs() == size));
    }
    let policy = Policy::new(&net, Weights::N34, Activations::F32, &[]).unwrap();
    let mut tensors = before.clone();
    quantise_weights(&net, &policy, &mut tensors).unwrap();
    let w = &tensors["conv4.weight"];
    assert_eq!(w.shape[1], 8);
    for w in w.data.chunks_exact(4 * 9) {
        for tap in 0..9 {
            let zeros = (0..4).filter(|c| w[9 * c + tap] == 0.0).count();
            assert_eq!(zeros, 1);
        }
    }
    // Six channels make pairs, but no fours.
    let mut six = Builder::new("six", [2, 4, 4]);
    let x = six.input();
    let x = six.conv("conv1", x, 6, 3, 1);
    let x = six.conv("conv2", x, 8, 3, 1);
    let x = six.conv("conv3", x, 8, 3, 1);
    let x = six.flatten("flatten", x);
    six.linear("fc", x, 3);
    let six = six.finish().unwrap();
    for (asked, got) in [
        (Weights::N12, [Weights::N12, Weights::N12]),
        (Weights::N34, [Weights::T2, Weights::N34]),
    ] {
        let policy = Policy::new(&six, asked, Activations::F32, &[]).unwrap();
        let inner = |name: &str| {
            let at = six.nodes().iter().position(|n| n.name == name);
            policy.weights[at.unwrap()]
        };
        assert_eq!(["conv2", "conv3"].map(inner), got);
    }
    let unknown = Policy::new(&net, Weights::T2, Activations::F32, &["layer*".into()]);
    assert!(unknown.unwrap_err().to_string().contains("conv1, conv2"));
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused() {
    let net = network();
    let mut engine = engine(&net, Weights::T2, Activations::F32);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let checkpoint = Checkpoint {
        tensors: engine.state().unwrap(),
        metadata: [("step".to_owned(), "3".to_owned())].into(),
    };
    checkpoint.save(&path).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap(), checkpoint);
    let bytes = std::fs::read(&path).unwrap();
    for len in [0, 4, 9, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let error = Checkpoint::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("a.safetensors") && error.contains("damaged"),
            "{error}"
        );
    }
    let mut other = checkpoint.tensors.clone();
    other.get_mut("fc.weight").unwrap().shape = vec![96, 3];
    let error = engine.set_state(&other).unwrap_err().to_string();
    assert!(error.contains("fc.weight"), "{error}");
    other.remove("conv1.weight");
    let error = engine.set_state(&other).unwrap_err().to_string();
    assert!(
        error.contains("conv1.weight") && error.contains("another network"),
        "{error}"
    );
    assert!(Checkpoint::default().step().is_err());
    let missing = Checkpoint::load(&folder.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"));
}

#[test]
fn a_loss_that_is_no_number_stops_with_the_step() {
    let (net, images) = (network(), images(48));
    let wild = Recipe {
        lr: 1e3,
        momentum: 0.99,
        warmup: 0.0,
        ..recipe()
    };
    let engine = Box::new(engine(&net, Weights::F32, Activations::F32));
    let mut trainer = Trainer::new(wild, &images, engine).unwrap();
    let mut state = trainer.checkpoint().unwrap().tensors;
    state.get_mut("fc.bias").unwrap().data[0] = f32::NAN;
    trainer.engine().set_state(&state).unwrap();
    let error = trainer.step().unwrap_err().to_string();
    assert!(error.contains("at step 0 (epoch 1)"), "{error}");
}

#[test]
fn schedules_begin_and_end_where_they_say() {
    let r = Recipe {
        epochs: 10,
        lr: 0.4,
        warmup: 1.0,
        blend: 0.5,
        ..Recipe::default()
    };
    assert!(r.lr_at(0, 100) < 0.005);
    assert_eq!(r.lr_at(100, 100), 0.4);
    assert!(r.lr_at(999, 100) < 1e-5);
    assert!((r.lr_at(550, 100) - 0.2).abs() < 1e-9);
    assert_eq!(
        (
            r.blend_at(0, 100),
            r.blend_at(250, 100),
            r.blend_at(700, 100)
        ),
        (0.0, 0.5, 1.0)
    );
    let step = Recipe {
        schedule: Schedule::Step,
        ..r.clone()
    };
    assert_eq!(
        [300, 500, 750].map(|s| step.lr_at(s, 100)),
        [0.4, 0.04, 0.004]
    );
    let one = Recipe {
        schedule: Schedule::OneCycle,
        ..r.clone()
    };
    assert!((one.lr_at(0, 100) - 0.016).abs() < 1e-9 && one.lr_at(300, 100) == 0.4);
    assert!(one.lr_at(999, 100) < 1e-4);
    let wrong = Recipe {
        momentum: 1.5,
        ..r.clone()
    };
    assert!(
        wrong
            .check()
            .unwrap_err()
            .to_string()
            .contains("momentum is 1.5")
    );
    let text = serde_json::to_string(&r).unwrap();
    assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), r);
    assert!(serde_json::from_str::<Recipe>("{\"epoch\": 3}").is_err());
}

#[test]
fn batches_are_moved_mirrored_and_normalised() {
    let pixels: Vec<u8> = (0..9).map(|i| i * 10).collect();
    let images = Images::new([1, 3, 3], pixels, vec![4], &[0.5], &[0.25]).unwrap();
    let normal = |p: u8| (f32::from(p) / 255.0 - 0.5) / 0.25;
    assert_eq!(images.batch(&[0]).images[5], normal(50));
    assert_eq!(images.largest(), 2.0);
    let augment = Augment {
        flip: true,
        shift: 1,
    };
    let mut seen = std::collections::HashSet::new();
    for epoch in 0..200 {
        let batch = images.augmented(&[0], augment, 1, epoch);
        assert_eq!(batch, images.augmented(&[0], augment, 1, epoch));
        // The pixel in the middle tells what happened.
        let at = (0..9).find(|p| normal(p * 10) == batch.images[4]).unwrap();
        assert!(at < 9);
        seen.insert(batch.images.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }
    assert_eq!(seen.len(), 18, "nine places, mirrored or not");
    assert!(Images::new([1, 3, 3], vec![0; 8], vec![1], &[0.5], &[0.2]).is_err());
    assert!(Images::new([1, 1, 1], vec![0; 2], vec![1, 2], &[0.5], &[0.0]).is_err());
}
