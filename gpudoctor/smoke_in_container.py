"""The smoke test: runs documented TensorFlow operations and proves where they ran and what they gave.

One file for Python 2.7 and 3.5 upwards that needs TensorFlow and the NumPy it brings, nothing else. It is
read from stdin inside an image or by an interpreter of this machine:

    python - --device gpu --level quick < smoke_in_container.py

Talk goes to stderr. Stdout holds one `gpudoctor-smoke-stage:` line per step, so that whoever reads knows how
far it came when the process dies, and at the end one `gpudoctor-smoke:` line with the report as JSON.
Exit status: 0 passed, 1 failed, 2 bad arguments, 130 interrupted, 143 terminated.
"""

from __future__ import absolute_import, division, print_function

import sys

# `python -` puts the current folder first: a stray tensorflow.py or random.py there is not what is tested.
sys.path[:] = [entry for entry in sys.path if entry not in ("", ".")]

import argparse
import contextlib
import ctypes
import errno
import fcntl
import glob
import json
import logging
import os
import re
import signal
import subprocess
import tempfile
import time
import traceback
import warnings
import zlib

REPORT_MARK = "gpudoctor-smoke: "
STAGE_MARK = "gpudoctor-smoke-stage: "
SCHEMA = "gpudoctor.smoke/1"

MESSAGE_CHARACTERS = 1500
VALUE_CHARACTERS = 240

# A second TensorFlow is started only to hear why the first saw no GPU; imports from a cold disk take a minute.
DIAGNOSIS_SECONDS = 90.0

# TF32 keeps 10 bits of the mantissa of each factor, so a product is off by at most two roundings of 2^-11 each.
# It is on by default on compute capability 8.0 and later.
# https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_tensor_float_32_execution (2026-11)
TF32_PRODUCT_ERROR = 2.0 ** -10
FLOAT32_ROUNDING = 2.0 ** -24


class BadArguments(Exception):
    """The command line cannot be used."""


class Terminated(BaseException):
    """SIGTERM arrived; no operation may catch it."""


class Wrong(Exception):
    """An operation gave something else than it had to, or ran elsewhere."""

    def __init__(self, message, expected, got):
        Exception.__init__(self, message)
        self.message = message
        self.expected = expected
        self.got = got


class Skip(Exception):
    """An operation cannot run here; the message says why."""


class StageFailed(Exception):
    """Ends the test before or between operations."""

    def __init__(self, message, causes=()):
        Exception.__init__(self, message)
        self.message = message
        self.causes = list(causes)


# ---------------------------------------------------------------------------------------------- text and channels


def text(value, limit=MESSAGE_CHARACTERS):
    """Anything as one bounded line of text, whatever bytes an error message holds."""
    try:
        if isinstance(value, bytes):
            shown = value.decode("utf-8", "replace")
        elif isinstance(value, BaseException):
            return "%s: %s" % (type(value).__name__, text(exception_message(value), limit))
        else:
            shown = "%s" % (value,)
            if isinstance(shown, bytes):  # Python 2
                shown = shown.decode("utf-8", "replace")
    except Exception as error:  # a __str__ of someone else's making
        shown = "unprintable %s (%s)" % (type(value).__name__, type(error).__name__)
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def exception_message(error):
    # TensorFlow's errors append the whole graph to str(); their .message is the sentence.
    message = getattr(error, "message", None)
    return message if message else str(error)


def say(line):
    """Talk, for people."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (IOError, OSError, ValueError):
        pass  # nobody listens; the report does not depend on it


def ensure_stderr():
    """Without a stderr the next file opened would become it, and be written to by TensorFlow."""
    try:
        os.fstat(2)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != 2:
            os.dup2(nowhere, 2)
            os.close(nowhere)
    if sys.stderr is None:  # Python 3, started so
        sys.stderr = open(os.devnull, "w")


class Channel(object):
    """The real stdout, kept for marked lines alone: everything else that writes to stdout lands on stderr."""

    def __init__(self):
        ensure_stderr()
        sys.stdout.flush()
        self.descriptor = os.dup(1)
        # Python 2 lets child processes inherit it.
        fcntl.fcntl(self.descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        os.dup2(2, 1)

    def send(self, mark, document):
        line = "\n" + mark + json.dumps(document, sort_keys=True, allow_nan=False) + "\n"
        left = line.encode("ascii")
        while left:
            try:
                left = left[os.write(self.descriptor, left):]
            except OSError as error:
                if error.errno != errno.EINTR:
                    raise


# --------------------------------------------------------------------------------------------------------- report


class Report(object):
    """What is known so far; a null always has its reason in the `unread` object beside it."""

    def __init__(self, channel, seed):
        self.channel = channel
        self.started = time.time()
        self.stage = "start"
        self.document = {
            "schema": SCHEMA,
            "outcome": "failed",
            "device_asked": "",
            "level": "",
            "seed": seed,
            "python": "%d.%d.%d" % sys.version_info[:3],
            "devices": [],
            "operations": [],
            "built_with": {},
            "timings": {},
            "error": None,
        }
        for record, name in (
            (self.document, "tensorflow"),
            (self.document, "keras"),
            (self.document, "numpy"),
            (self.document["built_with"], "cuda"),
            (self.document["built_with"], "cudnn"),
            (self.document["built_with"], "compute_capabilities"),
            (self.document["timings"], "import_seconds"),
            (self.document["timings"], "first_kernel_seconds"),
            (self.document["timings"], "total_seconds"),
        ):
            set_unread(record, name, "smoke test", "not_asked", "the test did not come so far")

    def enter(self, stage):
        """Tell the reader what comes next, and all that is known before it."""
        self.stage = stage
        say("gpudoctor: " + stage)
        self.channel.send(STAGE_MARK, {"stage": stage, "so_far": self.document})

    def fail(self, message, causes=()):
        self.document["outcome"] = "failed"
        self.document["error"] = {
            "stage": self.stage,
            "message": text(message),
            "causes": [text(cause) for cause in causes],
        }
        say("gpudoctor: failed at %s: %s" % (self.stage, text(message)))
        for cause in causes:
            say("gpudoctor:   " + text(cause))

    def finish(self):
        set_known(self.document["timings"], "total_seconds", time.time() - self.started)
        self.channel.send(REPORT_MARK, self.document)


def set_known(record, name, value):
    record[name] = value
    reasons = record.get("unread", {})
    reasons.pop(name, None)
    if not reasons:
        record.pop("unread", None)


def set_unread(record, name, source, why, detail):
    record[name] = None
    record.setdefault("unread", {})[name] = {"source": source, "why": why, "detail": text(detail) or why}


def planned(name, device, why):
    """The record of an operation that has not run."""
    record = {"name": name, "outcome": "skipped", "device_asked": device, "expected": "", "got": "", "note": why}
    set_unread(record, "device", "smoke test", "not_asked", why)
    set_unread(record, "seconds", "smoke test", "not_asked", why)
    return record


# ----------------------------------------------------------------------------------------------------- TensorFlow


def short_device(name):
    """GPU:0 out of /job:localhost/replica:0/task:0/device:GPU:0; an empty name stays empty."""
    found = re.search(r"([A-Za-z_]+):(\d+)$", text(name or ""))
    return "%s:%s" % (found.group(1).upper(), found.group(2)) if found else ""


class Library(object):
    """The TensorFlow under test, and what differs between its versions."""

    def __init__(self):
        import tensorflow
        import numpy  # second: where both are missing, TensorFlow is the one to name

        self.np = numpy
        self.tf = tensorflow
        # A folder left over from a removed package still imports, and is empty.
        place = getattr(tensorflow, "__file__", None) or list(getattr(tensorflow, "__path__", ["nowhere"]))
        self.version = text(getattr(tensorflow, "__version__", "none"))
        numbers = re.match(r"(\d+)\.(\d+)", self.version)
        if numbers is None:
            raise StageFailed("the module tensorflow is no TensorFlow: its version is %s" % self.version, [place])
        self.release = (int(numbers.group(1)), int(numbers.group(2)))
        # TensorFlow 2 with TF2_BEHAVIOR=0 still works in graphs.
        executing_eagerly = getattr(tensorflow, "executing_eagerly", None)
        self.graph_mode = self.release < (2, 0) or not executing_eagerly()
        self.v1 = tensorflow if self.release < (2, 0) else tensorflow.compat.v1
        self._keras = None

    @property
    def keras(self):
        """tf.keras, loaded when an operation needs it: TensorFlow itself works without."""
        if self._keras is None:
            keras = self.tf.keras
            keras.layers.Dense  # lazy loaders fail here
            self._keras = keras
        return self._keras

    def keras_version(self):
        version = getattr(self.keras, "__version__", None)
        if version is None:
            version = self.keras.version()
        return text(version)

    def keras_release(self):
        found = re.match(r"(\d+)", self.keras_version())
        return int(found.group(1)) if found else 0

    def configuration(self, soft_placement):
        """Options of a session that takes GPU memory as it needs it, not all of it."""
        options = self.v1.ConfigProto(allow_soft_placement=soft_placement)
        options.gpu_options.allow_growth = True
        return options

    def built_with_cuda(self):
        try:
            return bool(self.tf.test.is_built_with_cuda())
        except Exception:
            return None

    def built_with(self):
        """CUDA, cuDNN and compute capabilities of the build, as far as this version tells."""
        facts = {}
        source = "tf.sysconfig.get_build_info"
        told = {}
        try:
            told = dict(self.tf.sysconfig.get_build_info())
        except Exception:
            # Before 2.3 the module is there and knows less.
            try:
                from tensorflow.python.platform import build_info

                source = "tensorflow.python.platform.build_info"
                for ours, theirs in (("cuda_version", "cuda_version_number"), ("cudnn_version", "cudnn_version_number")):
                    if getattr(build_info, theirs, None):
                        told[ours] = getattr(build_info, theirs)
            except Exception:
                pass
        for name, key in (
            ("cuda", "cuda_version"),
            ("cudnn", "cudnn_version"),
            ("compute_capabilities", "cuda_compute_capabilities"),
        ):
            value = told.get(key)
            if value:
                shown = [text(item) for item in value] if name == "compute_capabilities" else text(value)
                set_known(facts, name, shown)
            elif self.built_with_cuda() is False:
                set_unread(facts, name, "tf.test.is_built_with_cuda", "absent", "this build has no CUDA")
            else:
                set_unread(facts, name, source, "unsupported", "TensorFlow %s does not tell" % self.version)
        return facts

    def devices(self):
        """Every device TensorFlow sees, as records."""
        if self.release >= (2, 0):
            return self._devices_of_2()
        return self._devices_of_1()

    def _devices_of_2(self):
        config = self.tf.config
        physical = getattr(config, "list_physical_devices", None) or config.experimental.list_physical_devices
        logical = getattr(config, "list_logical_devices", None) or config.experimental.list_logical_devices
        for gpu in physical("GPU"):
            try:
                config.experimental.set_memory_growth(gpu, True)
            except Exception as error:  # already set up: the test only takes more memory than it must
                say("gpudoctor: memory growth not set on %s: %s" % (gpu.name, text(error)))
        found = dict((short_device(device.name), device) for device in physical())
        records = []
        for device in logical():
            name = short_device(device.name)
            details = {}
            if name.startswith("GPU") and name in found:
                try:
                    details = dict(config.experimental.get_device_details(found[name]))
                except Exception as error:
                    say("gpudoctor: no details of %s: %s" % (name, text(error)))
            capability = details.get("compute_capability")
            shown = "%d.%d" % tuple(capability) if capability else ""
            records.append(self._device(name, text(details.get("device_name", "")), shown))
        return records

    def _devices_of_1(self):
        from tensorflow.python.client import device_lib

        try:
            found = device_lib.list_local_devices(self.configuration(True))
        except TypeError:  # the option came with 1.4
            found = device_lib.list_local_devices()
        records = []
        for device in found:
            description = text(device.physical_device_desc)
            capability = re.search(r"compute capability: (\d+\.\d+)", description)
            records.append(
                self._device(short_device(device.name), description, capability.group(1) if capability else "")
            )
        return records

    def _device(self, name, description, capability):
        record = {"name": name, "description": description}
        if capability:
            set_known(record, "compute_capability", capability)
        elif name.startswith("GPU"):
            set_unread(
                record, "compute_capability", "device details", "unsupported",
                "TensorFlow %s does not tell" % self.version,
            )
        else:
            set_unread(record, "compute_capability", "device details", "absent", "not a GPU")
        return record


# ------------------------------------------------------------------------------------------ one operation, proved


class Proof(object):
    """Runs what one operation builds, on one device, and compares every result."""

    def __init__(self, library, name, device, seed):
        self.library = library
        self.np = library.np
        self.tf = library.tf
        self.device = device
        # A stream of its own, so that `--only NAME --seed N` draws what the whole test drew.
        self.random = library.np.random.RandomState((seed + zlib.crc32(name.encode("ascii"))) % 2 ** 32)
        self.expected = ""
        self.got = ""
        self.ran_on = ""
        self.comparisons = 0
        self.notes = []

    def note(self, sentence):
        if sentence not in self.notes:
            self.notes.append(sentence)

    def draw(self, *shape):
        return self.random.uniform(-1.0, 1.0, shape).astype(self.np.float32)

    def product_error(self, terms):
        """Largest relative error of a sum of products, as a share of the sum of their magnitudes."""
        rounding = (terms + 2.0) * FLOAT32_ROUNDING
        return rounding + (TF32_PRODUCT_ERROR if self.device.startswith("GPU") else 0.0)

    def expect(self, label, make, inputs, expected, bound=0.0, shapes=None):
        """Run `make()(inputs...)` in every mode of this TensorFlow and compare with `expected`.

        `bound` is the largest absolute error allowed, a number or an array; `shapes` declares the inputs with
        unknown dimensions where they differ from what is fed.
        """
        expected = self.np.asarray(expected)
        for mode, got, device in self._results(make, inputs, shapes):
            self.ran_on = device
            if device != self.device:
                where = device or "a device that cannot be told"
                raise Wrong("%s (%s) ran on %s" % (label, mode, where), "on " + self.device, "on " + where)
            self._compare("%s (%s)" % (label, mode), got, expected, bound)

    def _compare(self, label, got, expected, bound):
        np = self.np
        got = np.asarray(got)
        self.comparisons += 1
        if got.shape != expected.shape:
            raise Wrong(label + ": another shape", "shape %s" % (expected.shape,), "shape %s" % (got.shape,))
        exact = np.asarray(expected, dtype=np.float64)
        error = np.abs(np.asarray(got, dtype=np.float64) - exact)
        allowed = np.broadcast_to(np.asarray(bound, dtype=np.float64), error.shape)
        bad = np.logical_not(error <= allowed)  # a NaN is bad as well
        if not self.expected:
            self._show(got, expected, error, allowed)
        if not bad.any():
            return
        if error.size <= 16:
            raise Wrong(label + ": other values", shown_array(np, expected), shown_array(np, got))
        excess = np.where(np.isfinite(error), error - allowed, np.inf)
        worst = np.unravel_index(int(np.argmax(excess)), error.shape)
        place = "[%s]" % ", ".join(str(int(index)) for index in worst)
        raise Wrong(
            "%s: %d of %d values are off" % (label, int(bad.sum()), bad.size),
            "%.9g at %s, within %.3g" % (exact[worst], place, allowed[worst]),
            "%.9g" % float(got[worst]),
        )

    def _show(self, got, expected, error, allowed):
        """Keep the first comparison for the report: its values, or how near they came when they are many."""
        if expected.size <= 16:
            self.expected, self.got = shown_array(self.np, expected), shown_array(self.np, got)
        else:
            shape = "x".join(str(length) for length in expected.shape)
            self.expected = "%s values within %.2g of NumPy in float64" % (shape, allowed.max())
            self.got = "largest error %.2g" % error.max()

    def _results(self, make, inputs, shapes):
        """Hard placement first: what cannot run on the device must say so itself."""
        run = self._graph_results if self.library.graph_mode else self._eager_results
        try:
            return run(make, inputs, shapes, False)
        except (self.tf.errors.InvalidArgumentError, self.tf.errors.NotFoundError) as error:
            if not re.search(r"satisfy .*device|assign a device|\b[Kk]ernel", exception_message(error)):
                raise
            # Book-keeping on integers has no GPU kernel in some versions; the result is still proved below.
            self.note("soft placement: a helper operation has no kernel for %s" % self.device)
            return run(make, inputs, shapes, True)

    def _graph_results(self, make, inputs, shapes, soft):
        v1 = self.library.v1
        graph = v1.Graph()
        with graph.as_default():
            with v1.device("/device:" + self.device):
                places = [
                    v1.placeholder(value.dtype, shapes[i] if shapes else value.shape)
                    for i, value in enumerate(inputs)
                ]
                output = make()(*places)
            told = v1.RunMetadata()
            # Tells for every node the device that executed it, and needs no CUPTI as a full trace does.
            options = v1.RunOptions(trace_level=v1.RunOptions.SOFTWARE_TRACE, output_partition_graphs=True)
            with v1.Session(graph=graph, config=self.library.configuration(soft)) as session:
                got = session.run(
                    output, dict(zip(places, inputs)), options=options, run_metadata=told
                )
        device = device_of_node(told, output.op.name)
        if not device and not soft:
            self.note("device by hard placement: the optimizer left no node of that name")
            device = self.device
        return [("graph", got, device)]

    def _eager_results(self, make, inputs, shapes, soft):
        tf = self.tf
        set_soft = getattr(tf.config, "set_soft_device_placement", None)
        if set_soft is not None:
            set_soft(soft)
        with tf.device("/device:" + self.device):
            build = make()
            tensors = [tf.constant(value) for value in inputs]
            eager = build(*tensors)
            specifications = [
                tf.TensorSpec(shapes[i] if shapes else value.shape, tf.as_dtype(value.dtype))
                for i, value in enumerate(inputs)
            ]
            # This file comes from stdin: autograph would look for its source in vain.
            traced = tf.function(build, input_signature=specifications, autograph=False)(*tensors)
        return [
            ("eager", eager.numpy(), short_device(eager.device)),
            ("tf.function", traced.numpy(), short_device(traced.device)),
        ]


def device_of_node(metadata, name):
    """The device that executed a node of a session's run, empty when it does not tell."""
    for stats in metadata.step_stats.dev_stats:
        # A GPU's streams appear as devices of their own: /device:GPU:0/stream:all.
        if "stream" not in stats.device and any(node.node_name == name for node in stats.node_stats):
            return short_device(stats.device)
    for graph in metadata.partition_graphs:
        for node in graph.node:
            if node.name == name:
                return short_device(node.device)
    return ""


def shown_array(np, value):
    shown = np.array2string(np.asarray(value), separator=", ", threshold=40)
    return text(shown, VALUE_CHARACTERS)


# ------------------------------------------------------------------------------------ the operations, in this order


def expand_dims(proof):
    """K.expand_dims on the documented matrix and on a random one."""
    np = proof.np
    documented = np.array([[2, 3], [2, 3], [2, 3]], np.float32)
    shapes = {0: (1, 3, 2), 1: (3, 1, 2), 2: (3, 2, 1), -1: (3, 2, 1)}
    random = proof.draw(3, 2)
    for axis in (0, 1, 2, -1):
        for label, x in (("documented", documented), ("random", random)):
            proof.expect(
                "%s x, axis %d" % (label, axis),
                lambda: lambda t: backend_expand_dims(proof, t, axis),
                [x],
                x.reshape(shapes[axis]),
            )


def backend_expand_dims(proof, tensor, axis):
    backend = proof.library.keras.backend
    if hasattr(backend, "expand_dims"):
        return backend.expand_dims(tensor, axis)
    proof.note("K.expand_dims is gone: ran keras.ops.expand_dims")
    return proof.library.keras.ops.expand_dims(tensor, axis)


def tile(proof):
    """K.tile on the documented matrix, and on a tensor whose row count is unknown when it is built."""
    np = proof.np
    documented = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    literal = {
        (1, 2): [[1, 2, 1, 2], [3, 4, 3, 4], [5, 6, 5, 6]],
        (2, 2): [[1, 2, 1, 2], [3, 4, 3, 4], [5, 6, 5, 6], [1, 2, 1, 2], [3, 4, 3, 4], [5, 6, 5, 6]],
    }
    random = proof.draw(5, 3)
    for times in ((1, 2), (2, 2)):
        def build(t):
            return backend_tile(proof, t, list(times))

        proof.expect("documented x, n %s" % list(times), lambda: build, [documented], literal[times])
        proof.expect("random x, n %s" % list(times), lambda: build, [random], np.tile(random, times))

    static = []

    def build_unknown(t):
        tiled = backend_tile(proof, t, [1, 64])
        static.append(tuple(tiled.shape.as_list()))
        return tiled

    column = proof.draw(7, 1)
    proof.expect("shape (?, 1), n [1, 64]", lambda: build_unknown, [column], np.tile(column, (1, 64)), 0.0, [[None, 1]])
    if (None, 64) not in static:
        raise Wrong("shape (?, 1), n [1, 64]: static shape", "(None, 64)", text(static))


def backend_tile(proof, tensor, times):
    backend = proof.library.keras.backend
    if hasattr(backend, "tile"):
        return backend.tile(tensor, times)
    ops = getattr(proof.library.keras, "ops", None)
    if ops is not None:
        proof.note("K.tile is gone: ran keras.ops.tile")
        return ops.tile(tensor, times)
    proof.note("tf.keras of this version has no K.tile: ran tf.tile")
    return proof.tf.tile(tensor, times)


def gather(proof):
    """tf.gather of rows, of one row by a scalar, and of columns."""
    np, tf = proof.np, proof.tf
    a = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)

    def along(axis):
        return lambda: lambda params, indices: tf.gather(params, indices, axis=axis)

    for indices, axis, expected in (
        ([1, 2, 0], 0, [[4, 5, 6], [7, 8, 9], [1, 2, 3]]),
        ([0, 0], 0, [[1, 2, 3], [1, 2, 3]]),
        (0, 0, [1, 2, 3]),
        ([1, 2, 0], 1, [[2, 3, 1], [5, 6, 4], [8, 9, 7]]),
    ):
        label = "documented a, %s, axis %d" % (indices, axis)
        proof.expect(label, along(axis), [a, np.array(indices, np.int32)], expected)
    params = proof.draw(50, 17)
    for axis in (0, 1):
        indices = proof.random.randint(0, params.shape[axis], 31).astype(np.int32)
        proof.expect("random, axis %d" % axis, along(axis), [params, indices], np.take(params, indices, axis))


def gather_nd(proof):
    """tf.gather_nd of single cells."""
    np, tf = proof.np, proof.tf
    a = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)

    def make():
        return lambda params, indices: tf.gather_nd(params, indices)

    for indices, expected in (([[1, 0], [1, 1], [1, 2]], [4, 5, 6]), ([[0, 2], [2, 0]], [3, 7])):
        proof.expect("documented a, %s" % indices, make, [a, np.array(indices, np.int32)], expected)
    params = proof.draw(11, 13, 3)
    rows = proof.random.randint(0, 11, 40)
    columns = proof.random.randint(0, 13, 40)
    indices = np.stack([rows, columns], 1).astype(np.int32)
    proof.expect("random", make, [params, indices], params[rows, columns])


def batch_gather(proof):
    """tf.batch_gather: for every row its own columns."""
    np, tf = proof.np, proof.tf
    a = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)
    if hasattr(tf, "batch_gather"):
        operation = tf.batch_gather
    else:
        proof.note("tf.batch_gather is gone: ran tf.gather(batch_dims=1)")

        def operation(params, indices):
            return tf.gather(params, indices, batch_dims=1)

    def make():
        return lambda params, indices: operation(params, indices)

    for indices, expected in (([[0], [1], [2]], [[1], [5], [9]]), ([[0], [0], [0]], [[1], [4], [7]])):
        proof.expect("documented a, %s" % indices, make, [a, np.array(indices, np.int32)], expected)
    params = proof.draw(9, 21)
    indices = proof.random.randint(0, 21, (9, 5)).astype(np.int32)
    expected = params[np.arange(9)[:, None], indices]
    proof.expect("random", make, [params, indices], expected)


def lambda_square(proof):
    """A model of one Lambda layer that squares."""
    np = proof.np

    def model_for(width):
        def make():
            keras = proof.library.keras
            given = keras.layers.Input((width,))
            return keras.models.Model(given, keras.layers.Lambda(lambda x: x ** 2)(given))

        return make

    documented = np.array([[1, 2, 3], [-4, 0.5, 0]], np.float32)
    proof.expect("[[1, 2, 3], [-4, 0.5, 0]]", model_for(3), [documented], [[1, 4, 9], [16, 0.25, 0]])
    random = proof.draw(33, 19)
    squares = np.square(random.astype(np.float64))
    # pow is allowed a few units in the last place by every backend.
    proof.expect("random", model_for(19), [random], squares, squares * 16 * FLOAT32_ROUNDING)


def matmul(proof):
    """A matrix product against NumPy in float64."""
    np, tf = proof.np, proof.tf
    left, right = proof.draw(192, 160), proof.draw(160, 224)
    exact = left.astype(np.float64).dot(right.astype(np.float64))
    magnitude = np.abs(left).astype(np.float64).dot(np.abs(right).astype(np.float64))
    proof.expect(
        "random (192, 160) x (160, 224)",
        lambda: lambda a, b: tf.matmul(a, b),
        [left, right],
        exact,
        magnitude * proof.product_error(160),
    )


def conv2d(proof):
    """A convolution with padding against NumPy in float64."""
    np, tf = proof.np, proof.tf
    images, kernel = proof.draw(4, 20, 24, 8), proof.draw(3, 3, 8, 16)

    def convolve(pixels, weights):
        padded = np.pad(pixels.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)), "constant")
        total = np.zeros((4, 20, 24, 16))
        for row in range(3):
            for column in range(3):
                window = padded[:, row : row + 20, column : column + 24, :]
                total += np.tensordot(window, weights[row, column].astype(np.float64), axes=([3], [0]))
        return total

    proof.expect(
        "random (4, 20, 24, 8), kernel (3, 3, 8, 16)",
        lambda: lambda x, k: tf.nn.conv2d(x, k, [1, 1, 1, 1], "SAME"),
        [images, kernel],
        convolve(images, kernel),
        convolve(np.abs(images), np.abs(kernel)) * proof.product_error(3 * 3 * 8),
    )


FIT_EPOCHS = 5
FIT_BATCH = 32
FIT_RATE = 0.1


def fit(proof):
    """fit(batch_size=32) of a small dense net: the loss of every epoch against the same training in NumPy."""
    np = proof.np
    x = proof.draw(128, 4)
    y = np.tanh(x.sum(axis=1, keepdims=True) + proof.draw(1)).astype(np.float32)
    weights = [proof.draw(4, 8), np.zeros(8, np.float32), proof.draw(8, 1), np.zeros(1, np.float32)]
    expected = fit_in_numpy(np, x, y, weights)
    train = fit_in_graph if proof.library.graph_mode else fit_eagerly
    losses, devices = train(proof, x, y, weights)
    proof.ran_on = ", ".join(sorted(devices)) or "a device that cannot be told"
    if devices != set([proof.device]):
        raise Wrong("fit ran on " + proof.ran_on, "on " + proof.device, "on " + proof.ran_on)
    got = np.asarray(losses, np.float64)
    proof.expected, proof.got = shown_array(np, expected), shown_array(np, got)
    proof.comparisons += 1
    if got.shape != expected.shape:
        raise Wrong("fit ran another number of epochs", str(len(expected)), str(len(got)))
    if not np.isfinite(got).all():
        raise Wrong("the loss is not finite", proof.expected, proof.got)
    if not got[-1] < got[0]:
        raise Wrong("the loss did not fall", "below %.6g after %d epochs" % (got[0], FIT_EPOCHS), proof.got)
    # Twenty steps carry each rounding on: 1e-6 was measured on CPUs; TF32 rounds 2^13 times as coarsely, which
    # on so short a training stays near its own 1e-3. A wrong gradient is off by tens of percent.
    allowed = 2e-2 if proof.device.startswith("GPU") else 1e-4
    if not (np.abs(got - expected) <= allowed * expected).all():
        raise Wrong("the loss falls differently from the same training in NumPy", proof.expected, proof.got)


def fit_in_numpy(np, x, y, weights):
    """Mean loss per epoch of plain SGD on mean squared error, in float64."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    w1, b1, w2, b2 = [weight.astype(np.float64) for weight in weights]
    history = []
    for _ in range(FIT_EPOCHS):
        losses = []
        for start in range(0, len(x), FIT_BATCH):
            part, wanted = x[start : start + FIT_BATCH], y[start : start + FIT_BATCH]
            hidden = np.tanh(part.dot(w1) + b1)
            off = hidden.dot(w2) + b2 - wanted
            losses.append(np.mean(off ** 2))
            slope = 2.0 * off / len(part)
            back = slope.dot(w2.T) * (1.0 - hidden ** 2)
            w2, b2 = w2 - FIT_RATE * hidden.T.dot(slope), b2 - FIT_RATE * slope.sum(axis=0)
            w1, b1 = w1 - FIT_RATE * part.T.dot(back), b1 - FIT_RATE * back.sum(axis=0)
        history.append(np.mean(losses))
    return np.array(history)


def fit_model(proof, weights, **compile_options):
    keras = proof.library.keras
    given = keras.layers.Input((4,))
    hidden = keras.layers.Dense(8, activation="tanh")(given)
    model = keras.models.Model(given, keras.layers.Dense(1)(hidden))
    if proof.library.keras_release() >= 3:
        # XLA would fuse the nodes by which the device is proved.
        compile_options["jit_compile"] = False
    model.compile(keras.optimizers.SGD(FIT_RATE), "mse", **compile_options)
    model.set_weights(weights)
    return model


def fit_losses(model, x, y):
    told = model.fit(x, y, batch_size=FIT_BATCH, epochs=FIT_EPOCHS, shuffle=False, verbose=0)
    return [float(loss) for loss in told.history["loss"]]


def fit_in_graph(proof, x, y, weights):
    v1 = proof.library.v1
    told = v1.RunMetadata()
    options = v1.RunOptions(trace_level=v1.RunOptions.SOFTWARE_TRACE, output_partition_graphs=True)
    graph = v1.Graph()
    with graph.as_default(), v1.Session(graph=graph, config=proof.library.configuration(True)).as_default():
        with v1.device("/device:" + proof.device):
            model = fit_model(proof, weights, options=options, run_metadata=told)
            losses = fit_losses(model, x, y)
    # After the optimizer, that is: it fuses a product with its bias, under the bias's name.
    products = dict((node.name, node.op) for part in told.partition_graphs for node in part.node)
    placed = []
    for stats in told.step_stats.dev_stats:
        if "stream" not in stats.device:
            names = [node.node_name for node in stats.node_stats if is_product(products.get(node.node_name, ""))]
            placed.extend((products[name], short_device(stats.device)) for name in names)
    proof.note("device of every product of the last training step, by run metadata")
    return losses, devices_of_products(placed)


def is_product(operation):
    # XLA swallows products whole where somebody has switched it on.
    return "MatMul" in operation or operation in ("_XlaRun", "XlaLaunch")


def devices_of_products(placed):
    """The devices of a training step: two products forward, three backward, none of which may be missing."""
    compiled = any("Xla" in operation for operation, _ in placed)
    if len(placed) < 5 and not compiled:
        raise Wrong("the device of fit cannot be told", "5 products", "%d products" % len(placed))
    return set(device for _, device in placed)


def fit_eagerly(proof, x, y, weights):
    tf = proof.tf
    set_soft = getattr(tf.config, "set_soft_device_placement", None)
    if set_soft is not None:
        set_soft(True)  # the data pipeline and the metrics live on the CPU
    try:
        from tensorflow.python.eager import context
        collected = context.collect_graphs
    except (ImportError, AttributeError):
        collected = None
    graphs = []
    with tf.device("/device:" + proof.device):
        model = fit_model(proof, weights)
        if collected is None:
            losses = fit_losses(model, x, y)
        else:
            with collected() as graphs:
                losses = fit_losses(model, x, y)
    if collected is None:
        proof.note("device of the trained parameters: this version does not tell more")
        return losses, set(short_device(parameter_device(weight)) for weight in model.trainable_weights)
    nodes = [node for graph in graphs for node in graph.node]
    nodes.extend(node for graph in graphs for function in graph.library.function for node in function.node_def)
    placed = [(node.op, short_device(node.device)) for node in nodes if is_product(node.op) and node.device]
    proof.note("device of every product of the training step, by its partitioned graphs")
    return losses, devices_of_products(placed)


def parameter_device(weight):
    inner = getattr(weight, "value", None)
    if inner is not None and not callable(inner):
        weight = inner  # Keras 3 wraps the variable
    return weight.device


QUICK, FULL = "quick", "full"

# Name, the levels that hold it, whether it runs on every GPU or the first alone, what runs.
OPERATIONS = (
    ("matmul", (QUICK, FULL), True, matmul),
    ("conv2d", (QUICK, FULL), True, conv2d),
    ("gather", (QUICK, FULL), True, gather),
    ("expand-dims", (FULL,), False, expand_dims),
    ("tile", (FULL,), False, tile),
    ("gather-nd", (FULL,), False, gather_nd),
    ("batch-gather", (FULL,), False, batch_gather),
    ("lambda-square", (FULL,), False, lambda_square),
    ("fit", (FULL,), False, fit),
)


# ------------------------------------------------------------------------------------ why TensorFlow sees no GPU


def why_no_gpu(library):
    """One sentence and the causes found, the deciding one first."""
    causes = []
    without_cuda = library.built_with_cuda() is False
    if without_cuda:
        causes.append("this TensorFlow %s is built without CUDA" % library.version)
    for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        value = os.environ.get(name)
        # CUDA counts the devices up to the first it cannot use.
        if value is not None and value.split(",")[0].strip() in ("", "-1", "none", "void", "NoDevFiles"):
            causes.append("%s=%r hides every GPU" % (name, value))
    nodes = sorted(glob.glob("/dev/nvidia[0-9]*") + glob.glob("/dev/dxg") + glob.glob("/dev/nvhost-gpu"))
    if not nodes:
        causes.append(
            "no /dev/nvidia* device node: no NVIDIA driver, or a container started without --gpus"
        )
    causes.append(driver_library())
    if not without_cuda:
        causes.extend(own_words())
    seen = []
    for cause in causes:
        if cause not in seen:
            seen.append(cause)
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    if value is not None and not any("CUDA_VISIBLE_DEVICES" in cause for cause in seen):
        seen.append("CUDA_VISIBLE_DEVICES=%r" % value)
    return "TensorFlow sees no GPU: " + seen[0], seen[1:]


def driver_library():
    """Whether the driver's library loads, and what its first call answers."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return "libcuda.so.1 cannot be loaded: %s" % text(error.args[0] if error.args else error)
    code = cuda.cuInit(0)
    count = ctypes.c_int(-1)
    counted = cuda.cuDeviceGetCount(ctypes.byref(count)) if code == 0 else code
    if code == 0 and counted == 0:
        return "libcuda.so.1 loads, cuInit succeeds and counts %d devices" % count.value
    return "libcuda.so.1 loads and cuInit answers CUDA error %d" % (code or counted)


def own_words():
    """What TensorFlow itself logs while it looks for GPUs.

    Its log level is fixed at import, so a second process is asked, with everything shown.
    """
    command = (
        "import tensorflow as tf\n"
        "if tf.__version__.startswith('1.'):\n"
        "    from tensorflow.python.client import device_lib; device_lib.list_local_devices()\n"
        "else:\n"
        "    (getattr(tf.config, 'list_physical_devices', None)"
        " or tf.config.experimental.list_physical_devices)('GPU')\n"
    )
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="0")
    with tempfile.TemporaryFile() as heard:
        child = subprocess.Popen([sys.executable, "-c", command], stdout=heard, stderr=heard, env=environment)
        try:
            deadline = time.time() + DIAGNOSIS_SECONDS
            while child.poll() is None and time.time() < deadline:
                time.sleep(0.05)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        heard.seek(0)
        lines = heard.read(1 << 20).decode("utf-8", "replace").splitlines()
    telling = re.compile(
        r"dlopen|dlerror|dynamic library|cuInit|cuda drivers|libcuda|kernel driver|Cannot dlopen"
        r"|no NVIDIA GPU|Ignoring visible gpu|cudaGetDevice|compute capability",
        re.IGNORECASE,
    )
    words = []
    for line in lines:
        if telling.search(line):
            # Date, source file and line differ between versions and tell the reader nothing.
            said = re.sub(r"^.*?\.(?:cc|cpp|h|py):\d+\] ", "", line)
            sentence = "TensorFlow: " + text(said, 300)
            if sentence not in words:
                words.append(sentence)
    return words[:12]


# ------------------------------------------------------------------------------------------------------ the course


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="smoke_in_container", description=__doc__.splitlines()[0])

    def refuse(message):
        raise BadArguments(message)

    parser.error = refuse
    names = [operation[0] for operation in OPERATIONS]
    parser.add_argument("--device", choices=("gpu", "cpu"), required=True)
    parser.add_argument("--level", choices=(QUICK, FULL), default=FULL)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args(arguments)
    if options.seed is not None and not 0 <= options.seed < 2 ** 32:
        raise BadArguments("argument --seed: must lie in 0 to 4294967295")
    return options


def fresh_seed():
    return int(time.time() * 1e6) % 2 ** 32


def import_tensorflow(report):
    report.enter("import")
    started = time.time()
    try:
        library = Library()
    except ImportError as error:
        # The first missing name is often not TensorFlow itself but what it needs: keep its own words.
        raise StageFailed("TensorFlow cannot be imported: " + text(error), [innermost(sys.exc_info()[2])])
    quiet_tensorflow()
    document = report.document
    set_known(document["timings"], "import_seconds", time.time() - started)
    set_known(document, "tensorflow", library.version)
    set_known(document, "numpy", text(library.np.__version__))
    document["built_with"] = library.built_with()
    return library


def innermost(trace):
    frames = traceback.extract_tb(trace)
    return "raised in %s, line %d" % (frames[-1][0], frames[-1][1]) if frames else "raised nowhere"


def load_keras(report, library):
    """Keras is a package of its own since TensorFlow 2.6, and may be missing or unfit by itself."""
    report.enter("keras")
    try:
        set_known(report.document, "keras", library.keras_version())
    except Exception as error:
        set_unread(report.document, "keras", "tf.keras", "failed", text(error))


def choose_devices(report, library, asked):
    report.enter("devices")
    report.document["devices"] = library.devices()
    names = [device["name"] for device in report.document["devices"]]
    chosen = [name for name in names if re.match(asked.upper() + r":\d+$", name)]
    if chosen:
        return chosen if asked == "gpu" else chosen[:1]
    if asked == "cpu":
        raise StageFailed("TensorFlow lists no CPU device: %s" % ", ".join(names))
    report.enter("diagnosis")
    message, causes = why_no_gpu(library)
    report.stage = "devices"
    raise StageFailed(message, causes)


def first_kernel(report, library, devices, seed):
    """The first computation on each device: context, memory pool and PTX compilation are paid here."""
    for device in devices:
        report.enter("first kernel on " + device)
        started = time.time()
        proof = Proof(library, "first-kernel", device, seed)
        x = proof.draw(8, 8)
        try:
            proof.expect("x + x", lambda: lambda t: t + t, [x], x + x)
        except Wrong as wrong:
            raise StageFailed("%s: expected %s, got %s" % (wrong.message, wrong.expected, wrong.got))
        if device == devices[0]:
            set_known(report.document["timings"], "first_kernel_seconds", time.time() - started)


def run_operation(library, name, run, device, seed):
    """The record of one operation on one device."""
    proof = Proof(library, name, device, seed)
    record = planned(name, device, "")
    record.pop("unread")
    started = time.time()
    outcome, why = "passed", ""
    try:
        run(proof)
    except Skip as skip:
        outcome, why = "skipped", text(skip)
    except Wrong as wrong:
        outcome, why = "failed", text(wrong.message)
        proof.expected, proof.got = wrong.expected, wrong.got
    except Exception as error:
        outcome, why = "failed", "raised " + text(error)
        proof.expected = proof.expected or "no exception"
        proof.got = text(error, VALUE_CHARACTERS)
        traceback.print_exc(file=sys.stderr)
    if outcome == "passed":
        proof.note("results compared: %d" % proof.comparisons)
    record["outcome"] = outcome
    record["expected"] = text(proof.expected, VALUE_CHARACTERS)
    record["got"] = text(proof.got, VALUE_CHARACTERS)
    record["note"] = "; ".join(([why] if why else []) + proof.notes)
    set_known(record, "seconds", time.time() - started)
    if proof.ran_on:
        set_known(record, "device", proof.ran_on)
    else:
        set_unread(record, "device", "smoke test", "failed", why or "it gave no tensor")
    return record


def course(report, options):
    document = report.document
    if options.only:
        chosen = [operation for operation in OPERATIONS if operation[0] in options.only]
    else:
        chosen = [operation for operation in OPERATIONS if options.level in operation[1]]
    document["operations"] = [planned(operation[0], "", "not run: an earlier step failed") for operation in chosen]
    library = import_tensorflow(report)
    devices = choose_devices(report, library, options.device)
    plan = [
        (name, run, device)
        for name, _, everywhere, run in chosen
        for device in (devices if everywhere else devices[:1])
    ]
    document["operations"] = [planned(name, device, "not run: an earlier step failed") for name, _, device in plan]
    first_kernel(report, library, devices, options.seed)
    load_keras(report, library)
    for place, (name, run, device) in enumerate(plan):
        # What the reader is left with when the process dies in here.
        document["operations"][place] = dict(planned(name, device, "not finished"), outcome="failed")
        report.enter("operation %s on %s" % (name, device))
        record = run_operation(library, name, run, device, options.seed)
        document["operations"][place] = record
        say("gpudoctor: %s %s on %s: %s" % (record["outcome"], name, device, record["note"]))
    outcomes = [record["outcome"] for record in document["operations"]]
    document["outcome"] = "passed" if "passed" in outcomes and "failed" not in outcomes else "failed"
    if "passed" not in outcomes and "failed" not in outcomes:
        raise StageFailed("every operation was skipped")


def terminate(_signal, _frame):
    raise Terminated()


def quiet_tensorflow():
    """Advice about retracing and names to come is meant for other programs than this one."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def prepare():
    # Only defaults: what the image or the user set stays.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    # tf.keras is Keras 3 since 2.16, which would compute with JAX or Torch where the user's settings say so.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    warnings.simplefilter("ignore")


def main(arguments):
    channel = Channel()
    report = Report(channel, 0)
    status = 1
    try:
        signal.signal(signal.SIGTERM, terminate)
        report.enter("start")
        prepare()
        options = parse_arguments(arguments)
        if options.seed is None:
            options.seed = fresh_seed()
        report.document.update(device_asked=options.device, level=options.level, seed=options.seed)
        say("gpudoctor: smoke test, seed %d" % options.seed)
        course(report, options)
        status = 0 if report.document["outcome"] == "passed" else 1
    except BadArguments as error:
        report.stage = "arguments"
        report.fail(error)
        status = 2
    except StageFailed as error:
        report.fail(error.message, error.causes)
    except Terminated:
        report.fail("terminated by SIGTERM")
        status = 143
    except KeyboardInterrupt:
        report.fail("interrupted")
        status = 130
    except SystemExit as error:
        report.fail("the process was ended by SystemExit(%s)" % text(error.code))
    except BaseException as error:
        report.fail(error, [innermost(sys.exc_info()[2])])
        traceback.print_exc(file=sys.stderr)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    report.finish()
    # TensorFlow's own teardown may hang or crash, and its threads may outlive main: the answer is given.
    with contextlib.closing(sys.stderr):
        sys.stderr.flush()
    os._exit(status)


main(sys.argv[1:])
