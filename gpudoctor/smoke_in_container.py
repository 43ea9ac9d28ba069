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
import shutil
import signal
import struct
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
            "keras_packages": [],
            "libraries": [],
            "remarks": [],
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

    def remark(self, sentences):
        """What is no failure by itself, and explains one."""
        for sentence in sentences:
            if sentence not in self.document["remarks"]:
                self.document["remarks"].append(text(sentence))
                say("gpudoctor: " + text(sentence))

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


def planned(name, package, device, why):
    """The record of an operation that has not run."""
    record = {
        "name": name, "package": package, "outcome": "skipped", "device_asked": device,
        "expected": "", "got": "", "note": why, "rates": [],
    }
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
        self._fronts = None
        self.device_names = []
        self.multi_gpu_answers = []
        self.family = None
        self.folder = None

    @property
    def fronts(self):
        """Every Keras there is: tf.keras first, then packages of their own; loaded when an operation needs them."""
        if self._fronts is None:
            self._fronts = found_fronts(self)
        return self._fronts

    def front(self, package):
        """The Keras of that name."""
        if package == "tf.keras":
            return Front(self, package, self.tf.keras)
        return Front(self, package, __import__(package))

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
                for ours in ("cuda_version", "cudnn_version"):
                    theirs = ours + "_number"
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


class Front(object):
    """One Keras: tf.keras, or a package of its own."""

    def __init__(self, library, package, module):
        module.layers.Dense  # lazy loaders fail here
        self.package = package
        self.module = module
        version = getattr(module, "__version__", None)
        if version is None and hasattr(module, "version"):
            version = module.version()
        if version is None:  # tf.keras of 2.13 to 2.15 is a bare name for the package it comes from
            version = getattr(sys.modules[module.layers.Dense.__module__.partition(".")[0]], "__version__", "unknown")
        self.version = text(version)
        found = re.match(r"(\d+)\.(\d+)", self.version)
        self.release = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
        # What ~/.keras/keras.json of the user says is meant for the user's own models.
        module.backend.set_floatx("float32")
        module.backend.set_image_data_format("channels_last")


def found_fronts(library):
    """(fronts, reasons by package): what is installed beside tf.keras and is not the same under another name."""
    fronts = [Front(library, "tf.keras", library.tf.keras)]
    reasons = {}
    for package in ("keras", "tf_keras"):
        try:
            module = __import__(package)
        except ImportError as error:
            if not re.search(r"No module named '?%s'?$" % package, text(error)):
                reasons[package] = text(error)
            continue
        except Exception as error:
            reasons[package] = text(error)
            continue
        try:
            if any(module.layers.Dense is front.module.layers.Dense for front in fronts):
                continue
            front = Front(library, package, module)
        except Exception as error:
            reasons[package] = text(error)
            continue
        if package == "keras" and front.release < (2, 4) and not library.graph_mode:
            reasons[package] = "Keras %s works in the graphs of TensorFlow 1" % front.version
        else:
            fronts.append(front)
    return fronts, reasons


# ------------------------------------------------------------------------------------------ one operation, proved


class Proof(object):
    """Runs what one operation builds, on one device, and compares every result."""

    def __init__(self, library, name, device, seed, front=None):
        self.library = library
        self.seed = seed
        self.front = front
        self.package = front.package if front is not None else "tensorflow"
        self.keras = front.module if front is not None else None
        self.keras_version = front.version if front is not None else ""
        self.keras_release = front.release if front is not None else (0, 0)
        self.np = library.np
        self.tf = library.tf
        self.name = name
        self.device = device
        # A stream of its own, so that `--only NAME --seed N` draws what the whole test drew.
        self.random = library.np.random.RandomState((seed + zlib.crc32(name.encode("ascii"))) % 2 ** 32)
        self.expected = ""
        self.got = ""
        self.ran_on = ""
        self.comparisons = 0
        self.notes = []
        self.rates = []

    def note(self, sentence):
        if sentence not in self.notes:
            self.notes.append(sentence)

    def backend(self, name, successor=None):
        """A function of the Keras backend, or the one of keras.ops that came after it."""
        backend = self.keras.backend
        if hasattr(backend, name):
            return getattr(backend, name)
        function = getattr(getattr(self.keras, "ops", None), successor or name, None)
        if function is None:
            raise Skip("%s %s has neither K.%s nor a successor of it" % (self.package, self.keras_version, name))
        self.note("K.%s is gone: ran keras.ops.%s" % (name, successor or name))
        return function

    def folder(self):
        """A folder of this operation's own, gone when the test ends."""
        return tempfile.mkdtemp(prefix=self.name + "-", dir=self.library.folder)

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
                lambda: lambda t: proof.backend("expand_dims")(t, axis),
                [x],
                x.reshape(shapes[axis]),
            )


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
    if proof.package == "tf.keras" and not hasattr(proof.keras.backend, "tile") and proof.keras_release < (3, 0):
        proof.note("tf.keras of this version has no K.tile: ran tf.tile")
        return proof.tf.tile(tensor, times)
    return proof.backend("tile")(tensor, times)


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
            keras = proof.keras
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


def map_fn_gather_nd(proof):
    """gather_nd for every element of a batch, by tf.map_fn."""
    np, tf = proof.np, proof.tf

    def each(pair):
        return tf.gather_nd(pair[0], pair[1])

    def make():
        if "fn_output_signature" in argument_names(tf.map_fn):
            return lambda params, indices: tf.map_fn(each, (params, indices), fn_output_signature=tf.float32)
        return lambda params, indices: tf.map_fn(each, (params, indices), dtype=tf.float32)

    a = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]], np.float32)
    cells = np.array([[[0, 1], [1, 2]], [[1, 0], [0, 0]]], np.int32)
    proof.expect("two matrices, two cells of each", make, [a, cells], [[2, 6], [10, 7]])
    params = proof.draw(6, 5, 4)
    indices = np.stack([proof.random.randint(0, 5, (6, 9)), proof.random.randint(0, 4, (6, 9))], 2).astype(np.int32)
    expected = params[np.arange(6)[:, None], indices[:, :, 0], indices[:, :, 1]]
    proof.expect("random", make, [params, indices], expected)


def argument_names(function):
    """What a function takes, also where decorators stand before it."""
    from tensorflow.python.util import tf_inspect

    return tf_inspect.getfullargspec(function).args


def antirectifier(proof):
    """A Lambda with a function of several steps and a declared output shape."""
    np = proof.np
    mean, normalize = proof.backend("mean"), proof.backend("l2_normalize", "normalize")
    relu, concatenate = proof.backend("relu"), proof.backend("concatenate")

    def halves(x):
        x = x - mean(x, axis=1, keepdims=True)
        x = normalize(x, axis=1)
        return concatenate([relu(x), relu(-x)], axis=1)

    def halves_shape(shape):
        return (shape[0], shape[1] * 2)

    def model_for(width):
        def make():
            keras = proof.keras
            given = keras.layers.Input((width,))
            return keras.models.Model(given, keras.layers.Lambda(halves, output_shape=halves_shape)(given))

        return make

    def exact(x):
        centred = x - x.mean(axis=1, keepdims=True)
        unit = centred / np.sqrt((centred ** 2).sum(axis=1, keepdims=True))
        return np.concatenate([np.maximum(unit, 0), np.maximum(-unit, 0)], axis=1)

    documented = np.array([[1, 2, 3], [4, 4, 10]], np.float32)
    half, third = 0.5 ** 0.5, 6.0 ** -0.5
    # (-1, 0, 1) and (-2, -2, 4), each divided by its length.
    literal = [[0, 0, half, half, 0, 0], [0, 0, 2 * third, third, third, 0]]
    bound = 64 * FLOAT32_ROUNDING
    proof.expect("[[1, 2, 3], [4, 4, 10]]", model_for(3), [documented], literal, bound)
    random = proof.draw(33, 19)
    proof.expect("random, width 19 doubles to 38", model_for(19), [random], exact(random.astype(np.float64)), bound)


def column(x, index):
    return x[:, :, index]


def sliced_model(proof):
    """The documented model: each column by a Lambda with arguments, reshaped and put together again."""
    keras = proof.keras
    given = keras.layers.Input((4, 2))
    parts = [
        keras.layers.Reshape((4, 1, 1))(
            keras.layers.Lambda(column, output_shape=(4,), arguments={"index": index})(given)
        )
        for index in (0, 1)
    ]
    return keras.models.Model(given, keras.layers.Concatenate()(parts))


def lambda_slice(proof):
    """Lambda layers with arguments, of a model with branches."""
    np = proof.np
    proof.note("merge(mode='concat') is gone: ran Concatenate")
    documented = np.array([[[1, 2], [2, 3], [3, 4], [4, 5]]], np.float32)
    literal = [[[[1, 2]], [[2, 3]], [[3, 4]], [[4, 5]]]]
    proof.expect("[[[1, 2], [2, 3], [3, 4], [4, 5]]]", lambda: sliced_model(proof), [documented], literal)
    random = proof.draw(7, 4, 2)
    proof.expect("random", lambda: sliced_model(proof), [random], random.reshape(7, 4, 1, 2))


def plot_model(proof):
    """plot_model of the model with slices writes a picture of it."""
    plot = getattr(proof.keras.utils, "plot_model", None)
    if plot is None:
        raise Skip("%s has no plot_model" % proof.package)
    for name in ("pydot", "pydotplus", "pydot_ng"):
        if importable(name):
            break
    else:
        raise Skip("pydot is not installed")
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if not any(os.access(os.path.join(folder, "dot"), os.X_OK) for folder in folders):
        raise Skip("graphviz is not installed: there is no dot on PATH")
    proof.note("visualize_util.plot is gone: ran utils.plot_model")
    proof.note("the picture is drawn by graphviz, on no device of TensorFlow")
    path = os.path.join(proof.folder(), "lambda.png")
    with workshop(proof):
        plot(sliced_model(proof), path, show_shapes=True)
    if not os.path.exists(path):
        raise Wrong("plot_model wrote nothing", "a PNG", "no file")
    with open(path, "rb") as picture:
        content = picture.read()
    proof.comparisons += 1
    proof.expected, proof.got = "a PNG with something drawn on it", png_told(content)
    if not proof.got.endswith("drawn on"):
        raise Wrong("plot_model wrote something else", proof.expected, proof.got)
    proof.ran_on = proof.device


def importable(name):
    try:
        __import__(name)
        return True
    except Exception:
        return False


def png_told(content):
    """Size and emptiness of a PNG, from its chunks."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        return "no PNG: it begins with %r" % content[:8]
    place, packed, size = 8, b"", (0, 0)
    while place + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        if kind == b"IHDR":
            size = struct.unpack(">II", content[place + 8 : place + 16])
        elif kind == b"IDAT":
            packed += content[place + 8 : place + 8 + length]
        place += 12 + length
    try:
        pixels = zlib.decompress(packed)
    except zlib.error as error:
        return "a PNG that cannot be unpacked: %s" % error
    return "a PNG of %d x %d, %s" % (size[0], size[1], "drawn on" if len(set(pixels)) > 8 else "empty")


def crossentropy(proof):
    """Categorical and sparse categorical cross-entropy of the same labels."""
    np = proof.np
    losses = proof.keras.losses
    classes, count = 5, 23
    labels = proof.random.randint(0, classes, count)
    raised = np.exp(2.0 * proof.draw(count, classes).astype(np.float64))
    given = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    # TensorFlow 2 divides by the sum once more.
    exact = given.astype(np.float64)
    exact = -np.log((exact / exact.sum(axis=1, keepdims=True))[np.arange(count), labels])
    one_hot = np.eye(classes, dtype=np.float32)[labels]
    documented = np.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]], np.float32)
    literal = [0.05129329, 2.30258509]  # -ln 0.95 and -ln 0.1
    bound = 1e-5

    def categorical():
        return lambda wanted, p: losses.categorical_crossentropy(wanted, p)

    def sparse():
        return lambda wanted, p: losses.sparse_categorical_crossentropy(wanted, p)

    def difference():
        def both(wanted, numbers, p):
            return losses.categorical_crossentropy(wanted, p) - losses.sparse_categorical_crossentropy(numbers, p)

        return both

    numbers = labels.astype(np.int32)
    one = np.array([[0, 1, 0], [0, 0, 1]], np.float32)
    proof.expect("labels 1 and 2, one hot", categorical, [one, documented], literal, bound)
    proof.expect("labels 1 and 2, sparse", sparse, [np.array([1, 2], np.int32), documented], literal, bound)
    proof.expect("random, one hot", categorical, [one_hot, given], exact, bound * (1 + exact))
    proof.expect("random, sparse", sparse, [numbers, given], exact, bound * (1 + exact))
    proof.expect("random, difference", difference, [one_hot, numbers, given], np.zeros(count), bound * (1 + exact))


# ------------------------------------------------------------------------------------------------ models that learn


class Workshop(object):
    """Models are built, trained and asked in here; it knows on which device each of their products ran."""

    def __init__(self, proof):
        self.proof = proof
        self.library = proof.library
        self.graphs = None
        self.session = None
        self.told = None
        self.placed = []
        self.parameters = set()

    def compile_options(self):
        """What model.compile needs beside optimizer and loss."""
        if self.library.graph_mode:
            v1 = self.library.v1
            self.told = v1.RunMetadata()
            # Tells for every node the device that executed it, and needs no CUPTI as a full trace does.
            options = v1.RunOptions(trace_level=v1.RunOptions.SOFTWARE_TRACE, output_partition_graphs=True)
            return {"options": options, "run_metadata": self.told}
        if self.proof.keras_release >= (3, 0):
            # XLA would fuse the nodes by which the device is proved.
            return {"jit_compile": False}
        return {}

    def hear(self, model):
        """Note where the products of the last run of a session went; graphs of functions are read at the end."""
        if self.told is not None:
            self.placed.extend(products_of_run(self.told))
        elif self.graphs is None:
            self.parameters.update(short_device(parameter_device(weight)) for weight in model.trainable_weights)

    def predict(self, model, *inputs):
        """The model's predictions, and where they were made."""
        given = list(inputs) if len(inputs) > 1 else inputs[0]
        if not self.library.graph_mode:
            self.hear(model)
            return model.predict(given, verbose=0)
        v1 = self.library.v1
        predictions = model.predict(given)
        told = v1.RunMetadata()
        options = v1.RunOptions(trace_level=v1.RunOptions.SOFTWARE_TRACE, output_partition_graphs=True)
        again = self.session.run(model.outputs, dict(zip(model.inputs, inputs)), options=options, run_metadata=told)
        self.placed.extend(products_of_run(told))
        for given, value in zip(predictions if len(again) > 1 else [predictions], again):
            if not self.proof.np.allclose(given, value, 1e-4, 1e-5):
                raise Wrong("predict differs from the model's own output", shown_array(self.proof.np, value),
                            shown_array(self.proof.np, given))
        return predictions

    def prove_place(self, least):
        """Every product ran on the proof's device, and there were as many as there must be."""
        proof = self.proof
        if self.parameters:
            proof.note("device of the trained parameters: this version does not tell more")
            self.settle(self.parameters)
            return
        placed = list(self.placed)
        how = "run metadata"
        if self.graphs is not None:
            how = "partitioned graphs"
            nodes = [node for graph in self.graphs for node in graph.node]
            functions = [function for graph in self.graphs for function in graph.library.function]
            nodes.extend(node for function in functions for node in function.node_def)
            placed.extend((node.op, short_device(node.device)) for node in nodes if is_product(node.op) and node.device)
        compiled = any("Xla" in operation for operation, _ in placed)
        if len(placed) < least and not compiled:
            raise Wrong("the device of the products cannot be told", "%d products" % least, "%d products" % len(placed))
        proof.note("device of every product by %s" % how)
        self.settle(set(device for _, device in placed))

    def settle(self, devices):
        """Hold the devices that were seen against the one asked for."""
        proof = self.proof
        proof.ran_on = ", ".join(sorted(devices)) or "a device that cannot be told"
        if devices != set([proof.device]):
            raise Wrong("it ran on " + proof.ran_on, "on " + proof.device, "on " + proof.ran_on)


@contextlib.contextmanager
def workshop(proof):
    """A graph and session, or the eager context, on the proof's device."""
    shop, library = Workshop(proof), proof.library
    if library.graph_mode:
        v1 = library.v1
        graph = v1.Graph()
        with graph.as_default(), v1.Session(graph=graph, config=library.configuration(True)).as_default() as session:
            shop.session = session
            with v1.device("/device:" + proof.device):
                yield shop
        return
    set_soft = getattr(proof.tf.config, "set_soft_device_placement", None)
    if set_soft is not None:
        set_soft(True)  # the data pipeline and the metrics live on the CPU
    collected = collecting_graphs()
    with proof.tf.device("/device:" + proof.device):
        if collected is None:
            yield shop
        else:
            with collected() as shop.graphs:
                yield shop


def collecting_graphs():
    """TensorFlow's own record of the graphs it ran, None where this version keeps none."""
    try:
        from tensorflow.python.eager import context

        return context.collect_graphs
    except (ImportError, AttributeError):
        return None


def parameter_device(weight):
    inner = getattr(weight, "value", None)
    if inner is not None and not callable(inner):
        weight = inner  # Keras 3 wraps the variable
    return weight.device


def products_of_run(told):
    """Each product that a session ran, with the device that executed it."""
    # After the optimizer, that is: it fuses a product with its bias, under the bias's name.
    products = dict((node.name, node.op) for part in told.partition_graphs for node in part.node)
    placed = []
    for stats in told.step_stats.dev_stats:
        # A GPU's streams appear as devices of their own: /device:GPU:0/stream:all.
        if "stream" not in stats.device:
            names = [node.node_name for node in stats.node_stats if is_product(products.get(node.node_name, ""))]
            placed.extend((products[name], short_device(stats.device)) for name in names)
    return placed


def is_product(operation):
    # XLA swallows products whole where somebody has switched it on.
    return "MatMul" in operation or "Conv2D" in operation or operation in ("_XlaRun", "XlaLaunch")


# Two products forward, three backward: what a training step of a net with one hidden layer runs at the least.
STEP_PRODUCTS = 5
RATE = 0.1


class Net(object):
    """A net with one hidden layer, in Keras and in NumPy with float64."""

    def __init__(self, proof, inputs=4, hidden=8, outputs=1):
        self.proof = proof
        self.inputs, self.hidden, self.outputs = inputs, hidden, outputs
        zeros = proof.np.zeros
        self.weights = [
            proof.draw(inputs, hidden), zeros(hidden, proof.np.float32),
            proof.draw(hidden, outputs), zeros(outputs, proof.np.float32),
        ]
        self.exact = [weight.astype(proof.np.float64) for weight in self.weights]

    def examples(self, count):
        """Inputs and wanted outputs that such a net can learn."""
        x = self.proof.draw(count, self.inputs)
        y = self.proof.np.tanh(x.sum(axis=1, keepdims=True) + self.proof.draw(self.outputs))
        return x, y.astype(self.proof.np.float32)

    def build(self):
        keras = self.proof.keras
        given = keras.layers.Input((self.inputs,))
        hidden = keras.layers.Dense(self.hidden, activation="tanh")(given)
        return keras.models.Model(given, keras.layers.Dense(self.outputs)(hidden))

    def model(self, shop, **options):
        """The model in Keras, with these weights, ready to be trained."""
        model = self.build()
        options.update(shop.compile_options())
        model.compile(self.proof.keras.optimizers.SGD(RATE), "mse", **options)
        model.set_weights(self.weights)
        return model

    def forward(self, x):
        """Predictions of the net in NumPy."""
        np = self.proof.np
        w1, b1, w2, b2 = self.exact
        return np.tanh(x.astype(np.float64).dot(w1) + b1).dot(w2) + b2

    def learn(self, x, y):
        """One step of plain SGD on mean squared error; the loss before it."""
        np = self.proof.np
        x, y = x.astype(np.float64), y.astype(np.float64)
        w1, b1, w2, b2 = self.exact
        hidden = np.tanh(x.dot(w1) + b1)
        off = hidden.dot(w2) + b2 - y
        slope = 2.0 * off / off.size
        back = slope.dot(w2.T) * (1.0 - hidden ** 2)
        self.exact = [
            w1 - RATE * x.T.dot(back), b1 - RATE * back.sum(axis=0),
            w2 - RATE * hidden.T.dot(slope), b2 - RATE * slope.sum(axis=0),
        ]
        return np.mean(off ** 2)


def compare_losses(proof, got, expected):
    """Losses of a training against those of the same training in NumPy, and that they fell."""
    np = proof.np
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    proof.expected, proof.got = shown_array(np, expected), shown_array(np, got)
    proof.comparisons += 1
    if got.shape != expected.shape:
        raise Wrong("another number of losses", str(len(expected)), str(len(got)))
    must_fall(proof, got)
    allowed = training_error(proof)
    if not (np.abs(got - expected) <= allowed * expected).all():
        raise Wrong("the loss falls differently from the same training in NumPy", proof.expected, proof.got)


def training_error(proof):
    """Largest relative error of a short training: a wrong gradient is off by tens of percent."""
    # Twenty steps carry each rounding on: 1e-6 was measured on CPUs; TF32 rounds 2^13 times as coarsely, which
    # on so short a training stays near its own 1e-3.
    return 2e-2 if proof.device.startswith("GPU") or is_unordered(proof) else 1e-4


def is_unordered(proof):
    """Whether a step may read a parameter that it has updated already, so that no two runs agree.

    So does the package Keras 2 with the reference variables of TensorFlow 1: 2e-3 was measured with 2.2.4.
    """
    return proof.package == "keras" and proof.keras_release < (2, 4)


def must_fall(proof, losses):
    np = proof.np
    if not np.isfinite(losses).all():
        raise Wrong("the loss is not finite", proof.expected, proof.got)
    if not losses[-1] < losses[0]:
        raise Wrong("the loss did not fall", "below %.6g at the end" % losses[0], proof.got)


FIT_EPOCHS = 5
FIT_BATCH = 32


def fit(proof):
    """fit(batch_size=32) of a small dense net: the loss of every epoch against the same training in NumPy."""
    net = Net(proof)
    x, y = net.examples(128)
    with workshop(proof) as shop:
        model = net.model(shop)
        told = model.fit(x, y, batch_size=FIT_BATCH, epochs=FIT_EPOCHS, shuffle=False, verbose=0)
        shop.hear(model)
    shop.prove_place(STEP_PRODUCTS)
    batches = range(0, len(x), FIT_BATCH)
    expected = [
        proof.np.mean([net.learn(x[start : start + FIT_BATCH], y[start : start + FIT_BATCH]) for start in batches])
        for _ in range(FIT_EPOCHS)
    ]
    compare_losses(proof, [float(loss) for loss in told.history["loss"]], expected)


def train_on_batch(proof):
    """train_on_batch with batches of different sizes: every loss and the parameters against NumPy."""
    np = proof.np
    net = Net(proof)
    batches = [net.examples(size) for size in (32, 7, 1, 20)]
    losses = []
    with workshop(proof) as shop:
        model = net.model(shop)
        for x, y in batches * 3 + [batches[0]]:
            if hasattr(model, "reset_metrics"):
                model.reset_metrics()  # Keras 3 tells the mean of all batches since the last reset
            losses.append(float(np.ravel(model.train_on_batch(x, y))[0]))
        shop.hear(model)
        weights = model.get_weights()
    shop.prove_place(STEP_PRODUCTS)
    compare_losses(proof, losses, [net.learn(x, y) for x, y in batches * 3 + [batches[0]]])
    allowed = training_error(proof)
    for before, after, exact in zip(net.weights, weights, net.exact):
        proof.comparisons += 1
        if (before == after).all():
            raise Wrong("parameters did not change", "others than before", shown_array(np, after))
        if not np.allclose(after, exact, allowed, allowed):
            raise Wrong("parameters differ from the same training in NumPy", shown_array(np, exact),
                        shown_array(np, after))


IMAGE_STEPS, IMAGE_BATCH, IMAGE_EPOCHS = 4, 8, 3


def fit_generator(proof):
    """Training on pictures that ImageDataGenerator turns, shifts and flips."""
    np, keras = proof.np, proof.keras
    generator_class = find(keras, "preprocessing.image.ImageDataGenerator")
    if generator_class is None:
        raise Skip("%s has no ImageDataGenerator" % proof.package)
    changes = {"horizontal_flip": True, "vertical_flip": True, "fill_mode": "nearest"}
    if importable("scipy.ndimage"):
        changes.update(
            rotation_range=20, zoom_range=0.1, width_shift_range=0.1, height_shift_range=0.1, shear_range=0.1
        )
    else:
        proof.note("SciPy is not installed: rotation, zoom, shifts and shear were left out, flips ran")
        generator_class = flipping(generator_class)
    # Dark and bright pictures: what the changes above leave as it is.
    labels = np.arange(64) % 2
    pictures = 0.1 + 0.1 * proof.draw(64, 12, 12, 1) + 0.7 * labels.reshape(64, 1, 1, 1)
    pictures, wanted = pictures.astype(np.float32), np.eye(2, dtype=np.float32)[labels]
    kernel = (proof.random.uniform(0.5, 1.5, (3, 3, 1, 4)) / 9.0).astype(np.float32)
    start = [kernel, np.zeros(4, np.float32), 0.1 * proof.draw(4, 2), np.zeros(2, np.float32)]
    seen = changed_by(proof, generator_class, changes, pictures)
    counter = recorder(keras)
    with workshop(proof) as shop:
        given = keras.layers.Input((12, 12, 1))
        features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, activation="relu")(given))
        model = keras.models.Model(given, keras.layers.Dense(2, activation="softmax")(features))
        model.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy", **shop.compile_options())
        model.set_weights(start)
        batches = generator_class(**changes).flow(pictures[:32], wanted[:32], batch_size=IMAGE_BATCH, seed=1)
        options = {
            "steps_per_epoch": IMAGE_STEPS, "epochs": IMAGE_EPOCHS, "callbacks": [counter],
            "validation_data": (pictures[32:], wanted[32:]), "verbose": 0,
        }
        if hasattr(model, "fit_generator"):
            told = model.fit_generator(batches, **options)
        else:
            proof.note("fit_generator is gone: ran fit")
            told = model.fit(batches, **options)
        shop.hear(model)
    # The last run of a session is the validation's: one convolution and one product.
    shop.prove_place(2)
    losses = np.asarray([float(loss) for loss in told.history["loss"]])
    checked = told.history["val_loss"]
    proof.comparisons += 2
    proof.expected = "%d steps in each of %d epochs, a falling loss" % (IMAGE_STEPS, IMAGE_EPOCHS)
    steps = [len(epoch) for epoch in counter.batches]
    proof.got = "steps %s, losses %s" % (steps, shown_array(np, losses))
    if steps != [IMAGE_STEPS] * IMAGE_EPOCHS or len(losses) != IMAGE_EPOCHS or len(checked) != IMAGE_EPOCHS:
        raise Wrong("an epoch has other steps than asked for", proof.expected, proof.got)
    must_fall(proof, losses)
    if not np.isfinite(checked).all():
        raise Wrong("the loss of the validation is not finite", "numbers", shown_array(np, checked))
    proof.note(seen)


def flipping(generator_class):
    """Its apply_transform asks for SciPy even where it turns nothing: the flips it has decided on, without."""

    class Flipping(generator_class):
        def apply_transform(self, x, transform_parameters):
            if transform_parameters.get("flip_horizontal"):
                x = x[:, ::-1]
            if transform_parameters.get("flip_vertical"):
                x = x[::-1]
            return x

    return Flipping


def changed_by(proof, generator_class, changes, pictures):
    """What the generator does to a picture, told by the pictures themselves: a flip alone, then all of it."""
    np = proof.np
    corner = np.zeros((1, 12, 12, 1), np.float32)
    corner[0, 0, 1, 0] = 1.0
    flips = set()
    flow = generator_class(horizontal_flip=True, vertical_flip=True).flow(corner, np.zeros(1), batch_size=1, seed=3)
    for _ in range(24):
        row, place = np.argwhere(next(flow)[0][0, :, :, 0] == 1.0)[0]
        flips.add((int(row), int(place)))
    proof.comparisons += 1
    if flips != set([(0, 1), (0, 10), (11, 1), (11, 10)]):
        raise Wrong("flips put the pixel elsewhere", "[0, 1], [0, 10], [11, 1] and [11, 10]", str(sorted(flips)))
    flow = generator_class(**changes).flow(pictures, np.zeros(len(pictures)), batch_size=8, shuffle=False, seed=3)
    batch = next(flow)
    altered = int((np.abs(batch[0] - pictures[:8]).reshape(8, -1).max(axis=1) > 1e-6).sum())
    if altered == 0 or not np.isfinite(batch[0]).all():
        raise Wrong("ImageDataGenerator changes no picture", "changed pictures", "%d of 8 changed" % altered)
    return "changes: %s" % ", ".join(sorted(name for name in changes if name != "fill_mode"))


def find(module, path):
    """module.a.b.C, or None where a part is missing."""
    for name in path.split("."):
        try:
            module = getattr(module, name)
        except (AttributeError, ImportError):
            return None
    return module


def recorder(keras):
    """The user's callback: loss and accuracy of every batch and every epoch."""

    class Recorder(keras.callbacks.Callback):
        batches, epochs = (), ()

        def on_train_begin(self, logs=None):
            self.batches, self.epochs = [], []

        def on_epoch_begin(self, epoch, logs=None):
            self.batches.append([])

        def on_batch_end(self, batch, logs=None):
            self.batches[-1].append(entry(logs))

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append(entry(logs))

    def entry(logs):
        logs = logs or {}
        return (logs.get("loss"), logs.get("acc", logs.get("accuracy")))

    return Recorder()


def callback(proof):
    """A callback of the user's own hears of every batch and every epoch."""
    np, keras = proof.np, proof.keras
    net = Net(proof)
    x, y = net.examples(80)
    y = (y > 0).astype(np.float32)
    heard = recorder(keras)
    with workshop(proof) as shop:
        model = net.model(shop, metrics=["accuracy"])
        told = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0, callbacks=[heard])
        shop.hear(model)
    shop.prove_place(STEP_PRODUCTS)
    entries = [len(epoch) for epoch in heard.batches]
    proof.expected = "5 batches in each of 3 epochs, loss and accuracy of each"
    proof.got = "batches %s, epochs %d" % (entries, len(heard.epochs))
    proof.comparisons += 1
    if entries != [5, 5, 5] or len(heard.epochs) != 3:
        raise Wrong("the callback heard of another number of batches or epochs", proof.expected, proof.got)
    for loss, accuracy in [one for epoch in heard.batches for one in epoch] + heard.epochs:
        if loss is None or accuracy is None or not np.isfinite(loss) or not 0 <= accuracy <= 1:
            raise Wrong("the callback heard no loss or no accuracy", "two numbers", "%s, %s" % (loss, accuracy))
    shown = proof.got
    expected = [np.mean([net.learn(x[at : at + 16], y[at : at + 16]) for at in range(0, 80, 16)]) for _ in range(3)]
    compare_losses(proof, [float(loss) for loss, _ in heard.epochs], expected)
    if [float(loss) for loss, _ in heard.epochs] != [float(loss) for loss in told.history["loss"]]:
        returned = shown_array(np, told.history["loss"])
        raise Wrong("the callback heard other losses than fit returned", returned, proof.got)
    proof.expected, proof.got = "5 batches in each of 3 epochs", shown


# ------------------------------------------------------------------------------------------------- kept and read again


def weights_name(proof, stem):
    """Keras 3 takes no other end of the name."""
    if proof.keras_release >= (3, 0):
        proof.note("Keras 3 wants the name %s.weights.h5" % stem)
        return stem + ".weights.h5"
    return stem + ".h5"


def need_hdf5():
    try:
        import h5py
    except Exception as error:
        raise Skip("h5py cannot be imported: %s" % text(error))
    return h5py


def save_weights(proof):
    """Weights kept in HDF5 give a net that was built first the same predictions."""
    np = proof.np
    need_hdf5()
    net, x = Net(proof), proof.draw(19, 4)
    path = os.path.join(proof.folder(), weights_name(proof, "my_weights"))
    with workshop(proof) as shop:
        trained = net.model(shop)
        trained.save_weights(path)
        wanted = shop.predict(trained, x)
        fresh = net.build()
        before = shop.predict(fresh, x)
        fresh.load_weights(path)
        got = shop.predict(fresh, x)
    shop.prove_place(4)
    if np.allclose(before, wanted, 1e-3, 1e-3):
        raise Wrong("a net that was just built predicts the same already", "other predictions", shown_array(np, before))
    same_predictions(proof, "loaded", got, wanted)
    near(proof, "predictions", wanted, net.forward(x))


def same_state(proof, got, wanted):
    """What an optimizer remembers, variable by variable."""
    np = proof.np
    proof.comparisons += 1
    same = len(got) == len(wanted) and all(np.allclose(one, other, 1e-6, 1e-7) for one, other in zip(got, wanted))
    if not same or not any(np.any(one) for one in wanted):
        raise Wrong("the optimizer was not kept", "%d variables" % len(wanted), "%d variables" % len(got))


def same_predictions(proof, label, got, wanted, allowed=None):
    np = proof.np
    proof.comparisons += 1
    got, wanted = np.asarray(got), np.asarray(wanted)
    allowed = allowed or (1e-2 if proof.device.startswith("GPU") else 1e-5)
    proof.expected, proof.got = "equal predictions", "largest difference %.2g" % largest_difference(np, got, wanted)
    if got.shape != wanted.shape or not np.allclose(got, wanted, allowed, allowed):
        raise Wrong("%s: other predictions" % label, shown_array(np, wanted), shown_array(np, got))


def largest_difference(np, got, wanted):
    return np.abs(got - wanted).max() if got.shape == wanted.shape else float("inf")


def near(proof, label, got, exact):
    """Values against NumPy in float64, as near as float32, or TF32 on a GPU, can be."""
    np = proof.np
    proof.comparisons += 1
    allowed = 1e-2 if proof.device.startswith("GPU") else 1e-5
    if got.shape != exact.shape or not np.allclose(got, exact, allowed, allowed):
        raise Wrong("%s differ from NumPy" % label, shown_array(np, exact), shown_array(np, got))


def custom_objects(proof):
    """A layer and a loss of the user's own, which load_model has to be told."""
    keras, tf = proof.keras, proof.tf

    class Doubled(keras.layers.Layer):
        def __init__(self, factor=2.0, **options):
            super(Doubled, self).__init__(**options)
            self.factor = factor

        def call(self, inputs):
            return inputs * self.factor

        def compute_output_shape(self, input_shape):
            return input_shape

        def get_config(self):
            config = super(Doubled, self).get_config()
            config["factor"] = self.factor
            return config

    def half_squared(wanted, given):
        return 0.5 * tf.reduce_mean(tf.square(given - wanted), axis=-1)

    return {"Doubled": Doubled, "half_squared": half_squared}


def save_model(proof):
    """A whole model kept in HDF5 comes back with its predictions, its own layer and loss, and its optimizer."""
    np, keras = proof.np, proof.keras
    need_hdf5()
    path = os.path.join(proof.folder(), "my_model.h5")
    objects = custom_objects(proof)
    x = proof.draw(24, 4)
    y = x.sum(axis=1, keepdims=True)
    with workshop(proof) as shop:
        given = keras.layers.Input((4,))
        hidden = objects["Doubled"](factor=1.5)(keras.layers.Dense(8, activation="tanh")(given))
        model = keras.models.Model(given, keras.layers.Dense(1)(hidden))
        # The momentum of every parameter is state: an optimizer that lost it is seen in the next step.
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
        model.compile(optimizer, objects["half_squared"], **shop.compile_options())
        model.fit(x, y, batch_size=8, epochs=3, verbose=0)
        shop.hear(model)
        wanted = shop.predict(model, x)
        if proof.keras_release >= (3, 0):
            # Its reader of HDF5 builds the optimizer for no parameter at all, so that training on fails.
            # keras/src/legacy/saving/legacy_h5_format.py, load_model_from_hdf5 (Keras 3.15)
            proof.note("Keras 3 keeps the optimizer in my_model.keras alone: trained on from that")
            kept = os.path.join(os.path.dirname(path), "my_model.keras")
            model.save(kept)
            loaded = keras.models.load_model(kept, custom_objects=objects)
        else:
            model.save(path)
            loaded = keras.models.load_model(path, custom_objects=objects)
        same_predictions(proof, "loaded", shop.predict(loaded, x), wanted)
        if is_unordered(proof):
            same_state(proof, loaded.optimizer.get_weights(), model.optimizer.get_weights())
        for one in (model, loaded):
            one.fit(x, y, batch_size=24, epochs=2, shuffle=False, verbose=0)
        after, after_loaded = shop.predict(model, x), shop.predict(loaded, x)
        if proof.keras_release >= (3, 0):
            model.save(path)
            read = shop.predict(keras.models.load_model(path, custom_objects=objects), x)
            same_predictions(proof, "loaded from HDF5", read, after)
    shop.prove_place(STEP_PRODUCTS)
    if np.allclose(after, wanted, 1e-4, 1e-4):
        raise Wrong("two more steps change nothing", "other predictions than before", shown_array(np, after))
    allowed = training_error(proof) if is_unordered(proof) else None
    same_predictions(proof, "the optimizer was not kept, two more steps", after_loaded, after, allowed)


# ------------------------------------------------------------------------------- several GPUs, and then none at all


def joined_model(proof):
    """Two inputs, two outputs, a layer of the user's own."""
    keras = proof.keras
    first, second = keras.layers.Input((4,), name="first"), keras.layers.Input((3,), name="second")
    left = keras.layers.Dense(6, activation="tanh", name="left")(first)
    right = keras.layers.Dense(5, activation="tanh", name="right")(second)
    both = keras.layers.Concatenate(name="both")([left, right])
    both = custom_objects(proof)["Doubled"](factor=1.5, name="doubled")(both)
    outputs = [keras.layers.Dense(1, name="one")(both), keras.layers.Dense(2, name="two")(both)]
    return keras.models.Model([first, second], outputs)


def joined_examples(proof, count=32):
    first, second = proof.draw(count, 4), proof.draw(count, 3)
    return [first, second], [first.sum(axis=1, keepdims=True), second[:, :2] * second[:, 2:]]


def joined_in_numpy(proof, weights, inputs):
    """The same model in NumPy with float64; weights by layer."""
    np = proof.np

    def dense(name, x):
        return x.dot(np.asarray(weights[name][0], np.float64)) + np.asarray(weights[name][1], np.float64)

    left, right = [np.tanh(dense(name, x.astype(np.float64))) for name, x in zip(("left", "right"), inputs)]
    both = 1.5 * np.concatenate([left, right], axis=1)
    return [dense("one", both), dense("two", both)]


def multi_gpu(proof):
    """Trained under the multi-GPU wrapper of this version, made single, and read where no GPU is seen."""
    np, library = proof.np, proof.library
    need_hdf5()
    if library.family is None:
        raise Skip("no process was set aside for it")
    gpus = multi_gpu_count(library, proof.device)
    multi_gpu_way(proof.front, library, gpus)  # raises Skip
    # Three processes import TensorFlow, whatever the number of Keras packages.
    if not library.multi_gpu_answers:
        ways = {}
        for front in library.fronts[0]:
            try:
                ways[front.package] = multi_gpu_way(front, library, gpus)
            except Skip:
                pass
        task = {"seed": proof.seed, "folder": proof.folder(), "ways": ways, "gpus": gpus,
                "kind": proof.device.split(":")[0]}
        for step in ("train", "single", "alone"):
            library.multi_gpu_answers.append(library.family.ask(dict(task, step=step)))
    answers = [answer[proof.package] for answer in library.multi_gpu_answers]
    for answer in answers:
        for sentence in answer["notes"]:
            proof.note(sentence)
        if "error" in answer:
            raise Wrong("process %s: %s" % (answer["step"], text(answer["error"])), "an answer", "none")
    trained, single, alone = answers
    proof.comparisons += 1
    if len(trained["devices"]) < 2:
        raise Wrong("the wrapper trained on one device", "two or more", ", ".join(trained["devices"]))
    proof.note("trained on %s" % ", ".join(trained["devices"]))
    if any(name.startswith("GPU") for name in alone["seen"]):
        raise Wrong("the process that must see no GPU sees some", "no GPU", ", ".join(alone["seen"]))
    proof.ran_on = ", ".join(trained["devices"])
    kinds = set(name.split(":")[0] for name in trained["devices"])
    if kinds != set([proof.device.split(":")[0]]):
        raise Wrong("the wrapper trained elsewhere", "on " + proof.device, "on " + proof.ran_on)
    proof.ran_on = proof.device
    proof.expected, proof.got = "a falling loss", shown_array(np, trained["losses"])
    must_fall(proof, np.asarray(trained["losses"]))
    inputs, _ = joined_examples(Proof(library, "multi-gpu", proof.device, proof.seed, proof.front))
    exact = joined_in_numpy(proof, trained["weights"], inputs)
    wanted = [np.asarray(part, np.float32) for part in trained["predictions"]]
    for part, value in zip(wanted, exact):
        near(proof, "predictions of the wrapper", part, value)
    for label, record, name in (
        ("single model", single, "predictions"),
        ("load_weights without a GPU", alone, "by_weights"),
        ("load_model without a GPU", alone, "by_model"),
    ):
        for part, value in zip(wanted, record[name]):
            same_predictions(proof, label, np.asarray(value, np.float32), part)


def multi_gpu_count(library, device):
    return len([name for name in library.device_names if name.startswith("GPU")]) if device.startswith("GPU") else 0


def multi_gpu_way(front, library, gpus):
    """How this version makes a model of several GPUs; Skip where it cannot on so few."""
    if gpus >= 2 and find(front.module, "utils.multi_gpu_model") is not None:
        return "multi_gpu_model"
    tf = library.tf
    if front.package == "keras" and front.release < (3, 0):
        raise Skip("Keras %s has multi_gpu_model alone, which wants two GPUs or more" % front.version)
    if find(tf, "distribute.MirroredStrategy") is None:
        raise Skip(
            "TensorFlow %s has multi_gpu_model, which wants two GPUs or more; its MirroredStrategy is in contrib "
            "and knows no logical devices" % library.version
        )
    if gpus < 2 and find(tf, "config.experimental.set_virtual_device_configuration") is None:
        raise Skip("TensorFlow %s has no logical devices, and there are fewer than two GPUs" % library.version)
    return "MirroredStrategy"


# A GPU's share for each of two logical devices: what a net of a hundred parameters and cuBLAS need.
LOGICAL_DEVICE_MIB = 512


def mirrored(library, task):
    """A MirroredStrategy over the GPUs, or over two logical devices where there are fewer than two."""
    tf, kind = library.tf, task["kind"]
    if task["gpus"] >= 2:
        return tf.distribute.MirroredStrategy(["/%s:%d" % (kind, index) for index in range(task["gpus"])])
    experimental = tf.config.experimental
    limit = {"memory_limit": LOGICAL_DEVICE_MIB} if kind == "GPU" else {}
    parts = [experimental.VirtualDeviceConfiguration(**limit) for _ in range(2)]
    experimental.set_virtual_device_configuration(experimental.list_physical_devices(kind)[0], parts)
    # Two halves of one GPU cannot talk over NCCL.
    return tf.distribute.MirroredStrategy(
        ["/%s:0" % kind, "/%s:1" % kind], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


class Wrapped(object):
    """The template and its wrapper on several devices, in a process of its own."""

    def __init__(self, proof, task, strategy):
        self.proof, self.task, self.strategy = proof, task, strategy
        self.tf, self.library = proof.tf, proof.library
        self.notes = []
        if strategy is not None and task["gpus"] < 2:
            self.notes.append("fewer than two GPUs: MirroredStrategy on two logical devices of %s:0" % task["kind"])

    def session(self):
        """TensorFlow 1 wants a session that knows the logical devices."""
        if not self.library.graph_mode:
            return
        v1 = self.library.v1
        if self.strategy is None:
            config = self.library.configuration(True)
        else:
            from tensorflow.python.eager import context

            config = v1.ConfigProto()
            config.CopyFrom(context.context().config)
            config.allow_soft_placement = True
            config.gpu_options.allow_growth = True
        self.proof.keras.backend.set_session(v1.Session(config=config))

    def build(self):
        """Template and wrapper, compiled."""
        keras = self.proof.keras
        self.session()
        loss = custom_objects(self.proof)["half_squared"]
        options = {"jit_compile": False} if self.proof.keras_release >= (3, 0) else {}
        if self.strategy is None:
            with self.tf.device("/cpu:0"):
                template = joined_model(self.proof)
            wrapper = keras.utils.multi_gpu_model(template, gpus=self.task["gpus"])
            self.notes.append("multi_gpu_model on %d GPUs" % self.task["gpus"])
        else:
            with self.strategy.scope():
                wrapper = joined_model(self.proof)
                wrapper.compile(keras.optimizers.SGD(RATE), [loss, loss], **options)
            return None, wrapper
        wrapper.compile(keras.optimizers.SGD(RATE), [loss, loss], **options)
        return template, wrapper

    def devices(self, graphs):
        """Where the products of the training ran, or were placed in a graph."""
        if self.library.graph_mode:
            nodes = self.proof.keras.backend.get_session().graph.get_operations()
            placed = [(node.type, short_device(node.device)) for node in nodes]
            self.notes.append("devices as the graph of the wrapper places its products")
        else:
            every = [node for graph in graphs for node in graph.node]
            functions = [function for graph in graphs for function in graph.library.function]
            every.extend(node for function in functions for node in function.node_def)
            placed = [(node.op, short_device(node.device)) for node in every]
        return sorted(set(device for operation, device in placed if is_product(operation) and device))


def multi_gpu_step(task):
    """One of the three processes of the multi-GPU row: an answer for each Keras package."""
    if task["step"] == "alone" or task["kind"] == "CPU":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    library = Library()
    quiet_tensorflow()
    strategy = None
    if task["step"] != "alone" and "MirroredStrategy" in task["ways"].values():
        strategy = mirrored(library, task)
    answers = {}
    for package in sorted(task["ways"]):
        try:
            proof = Proof(library, "multi-gpu", task["kind"] + ":0", task["seed"], library.front(package))
            with library.v1.Graph().as_default() if library.graph_mode else nothing():
                if task["step"] == "alone":
                    answers[package] = read_alone(proof, task)
                else:
                    way = strategy if task["ways"][package] == "MirroredStrategy" else None
                    answers[package] = wrap(proof, task, way)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            answers[package] = {"error": text(error), "notes": [], "step": task["step"]}
    return answers


def multi_gpu_path(proof, task, name):
    return os.path.join(task["folder"], "%s_%s" % (proof.package, name))


def read_alone(proof, task):
    """The single model, read both ways where no GPU is seen."""
    inputs, _ = joined_examples(proof)
    path = multi_gpu_path(proof, task, "single_model.h5")
    by_weights = joined_model(proof)
    by_weights.load_weights(path)
    by_model = proof.keras.models.load_model(path, custom_objects=custom_objects(proof))
    return {
        "seen": [record["name"] for record in proof.library.devices()], "notes": [],
        "by_weights": as_lists(by_weights.predict(inputs)), "by_model": as_lists(by_model.predict(inputs)),
    }


def wrap(proof, task, strategy):
    """Train under the wrapper and keep its weights; or give them to a new wrapper, and save the single model."""
    inputs, wanted = joined_examples(proof)
    weights_path = multi_gpu_path(proof, task, "wrapped.weights.h5")
    wrapped = Wrapped(proof, task, strategy)
    if task["step"] == "train":
        collected = None if proof.library.graph_mode else collecting_graphs()
        with collected() if collected is not None else nothing() as graphs:
            template, wrapper = wrapped.build()
            told = wrapper.fit(inputs, wanted, batch_size=8, epochs=4, shuffle=False, verbose=0)
        wrapper.save_weights(weights_path)
        asked = template if template is not None else wrapper
        layers = ("left", "right", "one", "two")
        return {
            "losses": [float(loss) for loss in told.history["loss"]],
            "predictions": as_lists(wrapper.predict(inputs)),
            "weights": dict((name, as_lists(asked.get_layer(name).get_weights())) for name in layers),
            "devices": wrapped.devices(graphs), "notes": wrapped.notes,
        }
    template, wrapper = wrapped.build()
    wrapper.load_weights(weights_path)
    if template is None:
        template = joined_model(proof)
        template.set_weights(wrapper.get_weights())
    loss = custom_objects(proof)["half_squared"]
    template.compile(proof.keras.optimizers.SGD(RATE), [loss, loss])
    template.save(multi_gpu_path(proof, task, "single_model.h5"))
    return {"predictions": as_lists(template.predict(inputs)), "notes": wrapped.notes}


@contextlib.contextmanager
def nothing():
    yield []


def as_lists(arrays):
    return [array.tolist() for array in arrays]


class Family(object):
    """Processes that begin where this one was before it imported TensorFlow.

    One with TensorFlow's threads in it cannot be forked, and this file came from stdin, where a new interpreter
    would not find it again: so a process is set aside at the start, and forked for each task.
    """

    def __init__(self, channel):
        asked, self._asking = os.pipe()
        self._answers, answering = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            status = 1
            try:
                for descriptor in (self._asking, self._answers, channel.descriptor):
                    os.close(descriptor)
                serve_tasks(asked, answering)
                status = 0
            finally:
                os._exit(status)
        os.close(asked)
        os.close(answering)
        for descriptor in (self._asking, self._answers):
            fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)

    def ask(self, task):
        """The answer of a new process to one task; Wrong names the step in which it failed."""
        os.write(self._asking, (json.dumps(task) + "\n").encode("ascii"))
        answer = json.loads(read_line(self._answers) or '{"error": "the process set aside is gone"}')
        if "error" in answer:
            raise Wrong("process %s: %s" % (task["step"], text(answer["error"])), "an answer", "none")
        return answer

    def end(self):
        os.close(self._asking)
        try:
            os.waitpid(self.process, 0)
        except OSError:
            pass


def read_line(descriptor):
    """One line of ASCII, however it is cut; empty at the end."""
    heard = b""
    while not heard.endswith(b"\n"):
        try:
            piece = os.read(descriptor, 1 << 16)
        except OSError as error:  # Python 2 does not try again
            if error.errno == errno.EINTR:
                continue
            raise
        if not piece:
            return ""
        heard += piece
    return heard.decode("ascii")


def serve_tasks(asked, answering):
    """Fork a process for each task, until nobody asks any more."""
    die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        task = read_line(asked)
        if not task:
            return
        answered, answer = os.pipe()
        child = os.fork()
        if child == 0:
            die_with_parent()
            os.close(asked)
            try:
                told = multi_gpu_step(json.loads(task))
            except BaseException as error:
                traceback.print_exc(file=sys.stderr)
                told = {"error": text(error)}
            left = (json.dumps(told) + "\n").encode("ascii")
            while left:
                left = left[os.write(answer, left):]
            os._exit(0)
        os.close(answer)
        line = read_line(answered)
        os.close(answered)
        _, status = os.waitpid(child, 0)
        if not line:
            how = "killed by signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else (
                "exit code %d" % os.WEXITSTATUS(status)
            )
            line = json.dumps({"error": how}) + "\n"
        os.write(answering, line.encode("ascii"))


def die_with_parent():
    """Whoever waits for this process may be killed without a word."""
    try:
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG
    except (OSError, AttributeError):
        pass


# -------------------------------------------------------------------------------------------------------- bert4keras


# Its first weights are small, which layer normalisation makes up for: gradients are a hundred times as large as usual.
BERT_RATE = 1e-4


def bert4keras(proof):
    """A tiny random BERT of bert4keras on tf.keras: forward, a training step, save and load."""
    np = proof.np
    need_hdf5()
    os.environ["TF_KERAS"] = "1"
    if proof.keras_release >= (3, 0):
        raise Skip("bert4keras needs the Keras 2 of tf.keras, and this is Keras %s" % proof.keras_version)
    if importable("keras") and "keras" in sys.modules and not hasattr(sys.modules["keras"], "layers"):
        raise Skip("a module keras without layers is in its way")
    try:
        from bert4keras.models import build_transformer_model
    except ImportError as error:
        if re.search(r"No module named '?bert4keras'?", text(error)):
            raise Skip("bert4keras is not installed: --with bert4keras does so for this test")
        raise
    keras = proof.keras
    import bert4keras as package

    proof.note("bert4keras %s, TF_KERAS=1" % text(getattr(package, "__version__", "")))
    config = {
        "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32,
        "hidden_act": "gelu", "max_position_embeddings": 12, "type_vocab_size": 2, "initializer_range": 0.02,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    }
    path = os.path.join(proof.folder(), "bert_config.json")
    with open(path, "w") as described:
        json.dump(config, described)
    tokens = proof.random.randint(1, 50, (6, 9)).astype(np.float32)
    segments = np.zeros((6, 9), np.float32)
    wanted = np.eye(2, dtype=np.float32)[np.arange(6) % 2]
    kept = os.path.join(proof.folder(), "bert.h5")
    with workshop(proof) as shop:
        bert = build_transformer_model(path, return_keras_model=False)
        states = shop.predict(bert.model, tokens, segments)
        proof.comparisons += 1
        # The last layer normalises: every state has mean 0 and variance 1, before gamma and beta are trained.
        proof.expected = "(6, 9, 16), every state with mean 0 and variance 1"
        proof.got = "%s, means within %.2g, variances within %.2g of 1" % (
            states.shape, np.abs(states.mean(axis=2)).max(), np.abs(states.var(axis=2) - 1).max()
        )
        if states.shape != (6, 9, 16) or not np.isfinite(states).all():
            raise Wrong("forward gives another shape or no numbers", proof.expected, proof.got)
        if np.abs(states.mean(axis=2)).max() > 1e-4 or np.abs(states.var(axis=2) - 1).max() > 1e-2:
            raise Wrong("forward gives other states", proof.expected, proof.got)
        pooled = keras.layers.Lambda(first_state, name="pooled")(bert.model.output)
        output = keras.layers.Dense(2, activation="softmax", name="classes")(pooled)
        model = keras.models.Model(bert.model.inputs, output)
        model.compile(keras.optimizers.SGD(BERT_RATE), "categorical_crossentropy", **shop.compile_options())
        losses = [float(np.ravel(model.train_on_batch([tokens, segments], wanted))[0]) for _ in range(4)]
        shop.hear(model)
        before = shop.predict(model, tokens, segments)
        model.save(kept)
        loaded = keras.models.load_model(kept, custom_objects={"first_state": first_state})
        after = shop.predict(loaded, tokens, segments)
    shop.prove_place(12)
    shown = proof.expected, proof.got
    proof.expected, proof.got = "a falling loss", shown_array(np, losses)
    must_fall(proof, np.asarray(losses))
    same_predictions(proof, "loaded", after, before)
    proof.expected, proof.got = shown


def first_state(states):
    return states[:, 0]


# ------------------------------------------------------------------------------------------------- how fast, for long


class Rates(object):
    """Runs one graph again and again for bounded seconds: the same graph in every version of TensorFlow."""

    def __init__(self, proof):
        self.proof = proof
        self.v1 = proof.library.v1
        self.on_gpu = proof.device.startswith("GPU")

    @contextlib.contextmanager
    def session(self):
        """A graph on this device and no other, and a function that starts its session."""
        v1 = self.v1
        config = self.proof.library.configuration(False)
        # What would be computed once and kept is what is to be measured.
        config.graph_options.optimizer_options.opt_level = -1
        try:
            config.graph_options.rewrite_options.disable_meta_optimizer = True
        except AttributeError:  # came with 1.13
            pass
        graph = v1.Graph()
        with graph.as_default(), v1.Session(graph=graph, config=config) as session:
            with v1.device("/device:" + self.proof.device):
                yield session

    def repeat(self, session, value, fed=None):
        """(runs each second, the last value)."""
        seen = session.run(value, fed)  # loads the kernels
        runs, started = 0, time.time()
        while runs < 2 or time.time() - started < self.proof.library.stress_seconds:
            seen = session.run(value, fed)
            runs += 1
        return runs / (time.time() - started), seen

    def variable(self, shape, dtype, low, high):
        """Random values that lie on the device."""
        initial = self.v1.random_uniform(shape, low, high, seed=self.proof.random.randint(1, 1 << 30))
        return self.v1.get_variable(
            self.v1.get_default_graph().unique_name("kept"), initializer=self.proof.tf.cast(initial, dtype),
            trainable=False, use_resource=True,
        )

    def tell(self, name, value):
        self.proof.rates.append({"name": name, "value": float(value)})


def stress_matmul(proof):
    """TFLOP/s of chained products, on a GPU in float16 as well; a row of each result against NumPy."""
    np, tf, rates = proof.np, proof.tf, Rates(proof)
    size, chain = (8192, 8) if rates.on_gpu else (512, 4)
    shown = []
    # Sums of 16-bit products differ by the order of their summands.
    for kind, allowed in (("float32", 2e-2), ("float16", 5e-2))[: 2 if rates.on_gpu else 1]:
        with rates.session() as session:
            start = rates.variable((size, size), kind, -1.0, 1.0)
            # A variance of 1 / size, so that a chain of products neither grows nor vanishes.
            factor = rates.variable((size, size), kind, -((3.0 / size) ** 0.5), (3.0 / size) ** 0.5)
            session.run(rates.v1.global_variables_initializer())
            row, factors = session.run([start.read_value()[:1], factor.read_value()])
            product = start.read_value()
            for _ in range(chain):
                product = tf.matmul(product, factor.read_value())
            each_second, got = rates.repeat(session, product[0])
        rates.tell("matmul_%s_tflops" % kind, each_second * chain * 2.0 * float(size) ** 3 / 1e12)
        factors, exact = factors.astype(np.float32), row.astype(np.float32)
        for _ in range(chain):
            exact = exact.dot(factors)
        error = np.abs(got.astype(np.float64) - exact[0]).max() / np.abs(exact).max()
        proof.comparisons += 1
        shown.append("%s off by %.2g" % (kind, error))
        if not error <= allowed:
            raise Wrong("a row of the product is off", "within %.2g of NumPy" % allowed, shown[-1])
    proof.expected, proof.got = "a row of each product as in NumPy", ", ".join(shown)
    proof.ran_on = proof.device


def stress_memory(proof):
    """GB/s between the device's memory and its cores: two arrays read and one written for every sum."""
    np, tf, rates = proof.np, proof.tf, Rates(proof)
    count, chain = ((1 << 28) if rates.on_gpu else (1 << 23)) // 4, 8
    with rates.session() as session:
        total, summand = rates.variable((count,), "float32", 0.0, 1.0), rates.variable((count,), "float32", 0.0, 1.0)
        session.run(rates.v1.global_variables_initializer())
        first, second = session.run([total.read_value()[:8], summand.read_value()[:8]])
        value = total.read_value()
        for _ in range(chain):
            value = tf.add(value, summand.read_value())
        each_second, got = rates.repeat(session, value[:8])
    rates.tell("memory_gbs", each_second * chain * 3.0 * 4.0 * count / 1e9)
    proof.comparisons += 1
    exact = first + chain * second.astype(np.float64)
    proof.expected, proof.got = shown_array(np, exact), shown_array(np, got)
    if not np.allclose(got, exact, 1e-5, 0):
        raise Wrong("the sums are off", proof.expected, proof.got)
    proof.ran_on = proof.device


def stress_host_to_device(proof):
    """GB/s from NumPy's memory to the device's."""
    np, rates = proof.np, Rates(proof)
    values = proof.random.random_sample(((1 << 26) if rates.on_gpu else (1 << 23)) // 4).astype(np.float32)
    with rates.session() as session:
        place = rates.v1.placeholder(np.float32, values.shape)
        each_second, got = rates.repeat(session, proof.tf.identity(place)[-8:], {place: values})
    rates.tell("host_to_device_gbs", each_second * values.nbytes / 1e9)
    proof.comparisons += 1
    proof.expected, proof.got = shown_array(np, values[-8:]), shown_array(np, got)
    if not (got == values[-8:]).all():
        raise Wrong("other values arrived", proof.expected, proof.got)
    proof.ran_on = proof.device


def stress_all_reduce(proof):
    """GB/s of the sum over all GPUs by NCCL, as its own tests count: bytes times 2 (n - 1) / n."""
    np, rates = proof.np, Rates(proof)
    gpus = [name for name in proof.library.device_names if name.startswith("GPU")]
    if not rates.on_gpu or len(gpus) < 2:
        raise Skip("it wants two GPUs or more, and there %s" % ("is one" if len(gpus) == 1 else "are %d" % len(gpus)))
    try:
        from tensorflow.python.ops import nccl_ops
    except ImportError as error:
        raise Skip("this TensorFlow has no NCCL: %s" % text(error))
    count = (1 << 28) // 4
    with rates.session() as session:
        parts = []
        for name in gpus:
            with rates.v1.device("/device:" + name):
                parts.append(rates.variable((count,), "float32", 0.0, 1.0))
        session.run(rates.v1.global_variables_initializer())
        heads = session.run([part.read_value()[:8] for part in parts])
        sums = nccl_ops.all_sum([part.read_value() for part in parts])
        # NCCL wants every GPU to take part; what is fetched is eight numbers of each.
        fetched = []
        for name, total in zip(gpus, sums):
            with rates.v1.device("/device:" + name):
                fetched.append(total[:8])
        each_second, got = rates.repeat(session, fetched)
    rates.tell("all_reduce_gbs", each_second * 4.0 * count * 2.0 * (len(gpus) - 1) / len(gpus) / 1e9)
    exact = np.sum([head.astype(np.float64) for head in heads], axis=0)
    proof.expected = shown_array(np, exact)
    for name, values in zip(gpus, got):
        proof.comparisons += 1
        proof.got = shown_array(np, values)
        if not np.allclose(values, exact, 1e-5, 0):
            raise Wrong("the sum that arrived on %s is off" % name, proof.expected, proof.got)
    proof.note("over %d GPUs" % len(gpus))
    proof.ran_on = proof.device


QUICK, FULL, STRESS = "quick", "full", "stress"

EVERY_GPU, FIRST_GPU = True, False
OF_TENSORFLOW, OF_KERAS, OF_TF_KERAS = "tensorflow", "every Keras", "tf.keras"

# Name, the levels that hold it, the GPUs it runs on, the libraries it runs with, what runs.
OPERATIONS = (
    ("matmul", (QUICK, FULL, STRESS), EVERY_GPU, OF_TENSORFLOW, matmul),
    ("conv2d", (QUICK, FULL, STRESS), EVERY_GPU, OF_TENSORFLOW, conv2d),
    ("gather", (QUICK, FULL, STRESS), EVERY_GPU, OF_TENSORFLOW, gather),
    ("gather-nd", (FULL,), FIRST_GPU, OF_TENSORFLOW, gather_nd),
    ("batch-gather", (FULL,), FIRST_GPU, OF_TENSORFLOW, batch_gather),
    ("map-fn-gather-nd", (FULL,), FIRST_GPU, OF_TENSORFLOW, map_fn_gather_nd),
    ("expand-dims", (FULL,), FIRST_GPU, OF_KERAS, expand_dims),
    ("tile", (FULL,), FIRST_GPU, OF_KERAS, tile),
    ("lambda-square", (FULL,), FIRST_GPU, OF_KERAS, lambda_square),
    ("lambda-antirectifier", (FULL,), FIRST_GPU, OF_KERAS, antirectifier),
    ("lambda-slice", (FULL,), FIRST_GPU, OF_KERAS, lambda_slice),
    ("plot-model", (FULL,), FIRST_GPU, OF_KERAS, plot_model),
    ("crossentropy", (FULL,), FIRST_GPU, OF_KERAS, crossentropy),
    ("fit", (FULL,), FIRST_GPU, OF_KERAS, fit),
    ("fit-generator", (FULL,), FIRST_GPU, OF_KERAS, fit_generator),
    ("train-on-batch", (FULL,), FIRST_GPU, OF_KERAS, train_on_batch),
    ("callback", (FULL,), FIRST_GPU, OF_KERAS, callback),
    ("save-weights", (FULL,), FIRST_GPU, OF_KERAS, save_weights),
    ("save-model", (FULL,), FIRST_GPU, OF_KERAS, save_model),
    ("multi-gpu", (FULL,), FIRST_GPU, OF_KERAS, multi_gpu),
    ("bert4keras", (FULL,), FIRST_GPU, OF_TF_KERAS, bert4keras),
    ("stress-matmul", (STRESS,), EVERY_GPU, OF_TENSORFLOW, stress_matmul),
    ("stress-memory", (STRESS,), EVERY_GPU, OF_TENSORFLOW, stress_memory),
    ("stress-host-to-device", (STRESS,), EVERY_GPU, OF_TENSORFLOW, stress_host_to_device),
    ("stress-all-reduce", (STRESS,), FIRST_GPU, OF_TENSORFLOW, stress_all_reduce),
)


# ------------------------------------------------------------------------------------------ what else there is to tell

# Longer than context, memory pool and libraries take on a slow disk: then it is code that was compiled.
JIT_SECONDS = 20.0


def installed_versions():
    """Versions of what an import of TensorFlow trips over, read without importing anything."""
    versions = {}
    for folder in sys.path:
        for path in glob.glob(os.path.join(folder, "*.dist-info")) + glob.glob(os.path.join(folder, "*.egg-info")):
            found = re.match(r"([A-Za-z0-9_.]+?)-(\d[^-]*?)(?:-py[\d.]+)?\.(?:dist|egg)-info$", os.path.basename(path))
            if found:
                versions.setdefault(found.group(1).lower().replace("_", "-"), found.group(2))
    return versions


def major_minor(version):
    found = re.match(r"(\d+)(?:\.(\d+))?", version or "")
    return (int(found.group(1)), int(found.group(2) or 0)) if found else None


def traps_before_import():
    """What is known to break the import of the TensorFlow that is installed."""
    remarks = []
    versions = installed_versions()
    name, tensorflow = "", None
    for name in ("tensorflow", "tensorflow-gpu", "tensorflow-cpu", "nvidia-tensorflow"):
        if name in versions:
            tensorflow = major_minor(versions[name])
            break
    try:
        with open("/proc/cpuinfo") as told:
            flags = re.search(r"^flags\s*:(.*)$", told.read(), re.MULTILINE)
    except (IOError, OSError):
        flags = None
    if flags and " avx " not in flags.group(1) + " ":
        remarks.append("this CPU has no AVX, which TensorFlow is built with since 1.6: it dies of SIGILL")
    if tensorflow is None:
        return remarks
    for package, bound, first_well, fix in (
        # TensorFlow 2.18 was the first to be built for NumPy 2.
        # https://github.com/tensorflow/tensorflow/releases/tag/v2.18.0 (2026-11)
        ("numpy", (2, 0), (2, 18), "numpy<2"),
        # Code generated for protobuf 3 is refused: "Descriptors cannot be created directly".
        # https://protobuf.dev/news/2022-05-06/ (2026-11)
        ("protobuf", (4, 0), (2, 12), "protobuf<3.21"),
        # Its strings are str where Keras decodes bytes: load_weights and load_model fail.
        # https://github.com/tensorflow/tensorflow/issues/44467 (2026-11)
        ("h5py", (3, 0), (2, 5), "h5py<3"),
    ):
        installed = major_minor(versions.get(package))
        if installed is not None and installed >= bound and tensorflow < first_well:
            remarks.append("%s %s does not go with %s %s: pip install '%s'" % (
                package, versions[package], name, versions[name], fix))
    return remarks


def traps_after_import(library):
    """What the image says of itself against what was loaded."""
    said = os.environ.get("TENSORFLOW_VERSION")
    nvidia = os.environ.get("NVIDIA_TENSORFLOW_VERSION")
    remarks = []
    if nvidia and said and not library.version.startswith(said):
        remarks.append(
            "this is NVIDIA's image %s with TensorFlow %s, and TensorFlow %s was imported: pip has replaced it"
            % (nvidia, said, library.version)
        )
    elif nvidia and library.built_with_cuda() is False:
        remarks.append("this is NVIDIA's image %s, and the TensorFlow in it has no CUDA: pip has replaced it" % nvidia)
    return remarks


def loaded_libraries():
    """The libraries of NVIDIA's that are in this process, by the kernel's own list."""
    names = "cuda|cudart|cudnn|cublas|cublasLt|cufft|cusolver|cusparse|nccl|nvinfer"
    wanted = re.compile(r"(/\S*/(lib(?:%s)\.so[.\d]*))$" % names)
    found = {}
    try:
        with open("/proc/self/maps") as maps:
            for line in maps:
                match = wanted.search(line.rstrip().replace(" (deleted)", ""))
                if match:
                    found[match.group(2)] = match.group(1)
    except (IOError, OSError):
        pass
    records = []
    for name in sorted(found):
        record = {"name": name.partition(".so")[0], "path": found[name]}
        version = library_version(record["name"], found[name])
        if version:
            set_known(record, "version", version)
        else:
            set_unread(record, "version", found[name], "unsupported", "it has no call that tells")
        records.append(record)
    return records


def library_version(name, path):
    """The version by the library's own call, else by its file name."""
    try:
        library = ctypes.CDLL(path)
        number = ctypes.c_int(0)
        if name == "libcuda" and library.cuDriverGetVersion(ctypes.byref(number)) == 0:
            return "%d.%d" % (number.value // 1000, number.value % 1000 // 10)
        if name == "libcudart" and library.cudaRuntimeGetVersion(ctypes.byref(number)) == 0:
            return "%d.%d" % (number.value // 1000, number.value % 1000 // 10)
        if name == "libcudnn":
            library.cudnnGetVersion.restype = ctypes.c_size_t
            told = library.cudnnGetVersion()
            return "%d.%d.%d" % ((told // 10000, told % 10000 // 100, told % 100) if told >= 90000 else (
                told // 1000, told % 1000 // 100, told % 100))
    except (OSError, AttributeError):
        pass
    # libcublas.so.11.4.1.1043: what the link resolves to.
    found = re.search(r"\.so\.([\d.]+)$", os.path.realpath(path))
    return found.group(1) if found else ""


def remarks_of_run(document):
    """What the loaded libraries and the first kernel tell."""
    remarks = []
    versions = dict((record["name"], record["version"]) for record in document["libraries"] if record["version"])
    for record in document["libraries"]:
        if record["name"] == "libcuda":
            real = os.path.realpath(record["path"])
            kind = "the image's compat library" if "/compat" in record["path"] + real else "the host driver's library"
            remarks.append("libcuda is %s: %s" % (kind, real))
    for name, built in (("libcudart", "cuda"), ("libcudnn", "cudnn")):
        wanted, loaded = major_minor(document["built_with"].get(built)), major_minor(versions.get(name))
        exact = "." in (document["built_with"].get(built) or "")
        if wanted and loaded and (loaded[0] != wanted[0] or exact and loaded < wanted):
            remarks.append("TensorFlow was built with %s %s and loaded %s" % (
                built, document["built_with"][built], versions[name]))
    capabilities = document["built_with"].get("compute_capabilities")
    foreign = []
    for device in document["devices"]:
        shown = device["compute_capability"]
        if capabilities and shown and not has_native_code(shown, capabilities):
            foreign.append(shown)
            remarks.append(
                "%s is %s, for which this TensorFlow has no code of its own (%s): the driver compiles PTX"
                % (device["name"], shown, ", ".join(capabilities))
            )
    first = document["timings"]["first_kernel_seconds"]
    if document["device_asked"] == "gpu" and first is not None and (first > JIT_SECONDS or foreign and first > 2.0):
        remarks.append(
            "the first kernel took %.0f s: PTX was compiled for this GPU. The result is kept in ~/.nv/ComputeCache, "
            "or where CUDA_CACHE_PATH says, and is lost with the container" % first
        )
    return remarks


def has_native_code(capability, built):
    """A cubin runs on the same major with an equal or higher minor: sm_80 on 8.6."""
    major, minor = [int(part) for part in capability.split(".")]
    for one in built:
        found = re.match(r"(?:sm_)?(\d+)\.?(\d)[a-z]?$", one)
        if found and int(found.group(1)) == major and int(found.group(2)) <= minor:
            return True
    return False


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
    parser.add_argument("--level", choices=(QUICK, FULL, STRESS), default=FULL)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--stress-seconds", type=float, default=5.0)
    parser.add_argument("--with", dest="extras", action="append", default=[], choices=sorted(EXTRAS))
    options = parser.parse_args(arguments)
    options.family = options.folder = None
    if not 0 < options.stress_seconds <= 3600:
        raise BadArguments("argument --stress-seconds: must lie above 0 and at most 3600")
    if options.seed is not None and not 0 <= options.seed < 2 ** 32:
        raise BadArguments("argument --seed: must lie in 0 to 4294967295")
    return options


def fresh_seed():
    return int(time.time() * 1e6) % 2 ** 32


# What a row needs and no image has: installed for this test alone, beside what is there. Without what it depends on,
# which is tf.keras in this use; the version is the last there is.
# https://github.com/bojone/bert4keras (2026-11)
EXTRAS = {"bert4keras": "bert4keras==0.11.5"}


def install_extras(report, options):
    """pip into a folder of this test's own: the image stays as it is."""
    for name in options.extras:
        report.enter("installation of " + name)
        target = os.path.join(options.folder, "extras")
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--quiet",
                   "--target", target, EXTRAS[name]]
        pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = pip.communicate()[0].decode("utf-8", "replace").splitlines()
        if pip.returncode != 0:
            telling = [line for line in said if "ERROR" in line or "No module" in line] or said[-1:]
            raise StageFailed("pip cannot install %s" % EXTRAS[name], telling[:3])
        if target not in sys.path:
            sys.path.append(target)


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


def load_keras(report, library, needed):
    """Keras is a package of its own since TensorFlow 2.6, and may be missing or unfit by itself."""
    report.enter("keras")
    try:
        fronts, reasons = library.fronts if needed else ([library.front("tf.keras")], {})
    except Exception as error:
        set_unread(report.document, "keras", "tf.keras", "failed", text(error))
        if needed:
            raise StageFailed("tf.keras cannot be used: %s" % text(error), [innermost(sys.exc_info()[2])])
        return []
    set_known(report.document, "keras", fronts[0].version)
    for front in fronts[1:]:
        report.document["keras_packages"].append({"package": front.package, "version": front.version})
    for package in sorted(reasons):
        record = {"package": package}
        set_unread(record, "version", "import " + package, "failed", reasons[package])
        report.document["keras_packages"].append(record)
    return fronts


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


def run_operation(library, name, run, device, seed, front):
    """The record of one operation on one device."""
    proof = Proof(library, name, device, seed, front)
    record = planned(name, proof.package, device, "")
    record.pop("unread")
    started = time.time()
    outcome, why = "passed", ""
    try:
        run(proof)
    except Skip as skip:
        outcome, why = "skipped", text(exception_message(skip))
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
    record["rates"] = proof.rates
    record["expected"] = text(proof.expected, VALUE_CHARACTERS)
    record["got"] = text(proof.got, VALUE_CHARACTERS)
    record["note"] = "; ".join(([why] if why else []) + proof.notes)
    set_known(record, "seconds", time.time() - started)
    if proof.ran_on:
        set_known(record, "device", proof.ran_on)
    else:
        set_unread(record, "device", "smoke test", "failed", why or "it gave no tensor")
    return record


def chosen_operations(options):
    if options.only:
        return [operation for operation in OPERATIONS if operation[0] in options.only]
    return [operation for operation in OPERATIONS if options.level in operation[1]]


def course(report, options):
    document = report.document
    chosen = chosen_operations(options)
    document["operations"] = [planned(one[0], "", "", "not run: an earlier step failed") for one in chosen]
    report.remark(traps_before_import())
    install_extras(report, options)
    library = import_tensorflow(report)
    library.folder, library.family = options.folder, options.family
    library.stress_seconds = options.stress_seconds
    report.remark(traps_after_import(library))
    devices = choose_devices(report, library, options.device)
    library.device_names = [device["name"] for device in document["devices"]]
    first_kernel(report, library, devices, options.seed)
    document["libraries"] = loaded_libraries()
    report.remark(remarks_of_run(document))
    fronts = load_keras(report, library, any(one[3] != OF_TENSORFLOW for one in chosen))
    plan = [
        (name, run, device, front)
        for name, _, everywhere, libraries, run in chosen
        for front in ([None] if libraries == OF_TENSORFLOW else fronts if libraries == OF_KERAS else fronts[:1])
        for device in (devices if everywhere else devices[:1])
    ]
    document["operations"] = [
        planned(name, front.package if front else "tensorflow", device, "not run: an earlier step failed")
        for name, _, device, front in plan
    ]
    for place, (name, run, device, front) in enumerate(plan):
        # What the reader is left with when the process dies in here.
        package = front.package if front else "tensorflow"
        document["operations"][place] = dict(planned(name, package, device, "not finished"), outcome="failed")
        where = "" if package in ("tensorflow", "tf.keras") else " with " + package
        report.enter("operation %s%s on %s" % (name, where, device))
        record = run_operation(library, name, run, device, options.seed, front)
        document["operations"][place] = record
        say("gpudoctor: %s %s%s on %s: %s" % (record["outcome"], name, where, device, record["note"]))
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


def clear_up(options):
    if options.family is not None:
        options.family.end()
    if options.folder is not None:
        shutil.rmtree(options.folder, ignore_errors=True)


def main(arguments):
    channel = Channel()
    report = Report(channel, 0)
    status = 1
    options = None
    try:
        signal.signal(signal.SIGTERM, terminate)
        report.enter("start")
        prepare()
        options = parse_arguments(arguments)
        if options.seed is None:
            options.seed = fresh_seed()
        report.document.update(device_asked=options.device, level=options.level, seed=options.seed)
        say("gpudoctor: smoke test, seed %d" % options.seed)
        if "multi-gpu" in [operation[0] for operation in chosen_operations(options)]:
            options.family = Family(channel)
        options.folder = tempfile.mkdtemp(prefix="gpudoctor-smoke-")
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
    if options is not None:
        clear_up(options)
    report.finish()
    # TensorFlow's own teardown may hang or crash, and its threads may outlive main: the answer is given.
    with contextlib.closing(sys.stderr):
        sys.stderr.flush()
    os._exit(status)


main(sys.argv[1:])
