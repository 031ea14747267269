"""`transformers.Trainer(model=model)` with a split for a data set, without any of our own training code."""

import torch
from transformers import Trainer, TrainingArguments

from dmdlite.config import DMDConfig
from dmdlite.data.toy import toy_world
from dmdlite.models.dmd import DMD
from dmdlite.training.loop import predict_logits, seed_everything


def test_trainer_trains_and_evaluates_a_model(tmp_path):
    splits = toy_world(40).splits
    seed_everything(0)
    model = DMD(DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1).without_dropout())
    before = {name: x.clone() for name, x in model.state_dict().items()}
    options = dict(per_device_train_batch_size=8, num_train_epochs=10, learning_rate=5e-3, save_strategy="no")
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, report_to=[], disable_tqdm=True, **options)
    trainer = Trainer(model=model, args=arguments, train_dataset=splits["train"], eval_dataset=splits["train"])
    first = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < first
    assert any(not torch.equal(x, before[name]) for name, x in model.state_dict().items())
    ours = predict_logits(model, splits["valid"])
    theirs = trainer.predict(splits["valid"]).predictions
    theirs = theirs[0] if isinstance(theirs, tuple) else theirs  # the prediction is the first thing after the loss
    torch.testing.assert_close(torch.as_tensor(theirs), torch.from_numpy(ours), rtol=1e-4, atol=1e-5)
