"""
conf/kubernetes and conf/helm: what they say of the program is so, and the program works with exactly
the command, the user, the environment and the files that they give it.  make check-kubernetes also
validates them with the schemas of Kubernetes, and renders the chart.
"""

import json
import os
import re
import shlex
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from runner import BINARY
from servers import ROOT, Ports, wait_until

OBJECTS = ROOT / "conf/kubernetes"
CHART = ROOT / "conf/helm/signalbus"
TOOLS = ROOT / "build/kubernetes"
DEFAULT_TIMEOUT = 30  # the setting timeout
VERSION = re.search(r"^VERSION := (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]


def load(name):
    return yaml.safe_load((OBJECTS / f"{name}.yaml").read_text())


def pod():
    return load("deployment")["spec"]["template"]


def container(spec=None):
    [only] = (spec or pod()["spec"])["containers"]
    return only


def without_comments(text):
    """A configuration file without comments and without differences of white space."""
    return re.sub(r"//.*", "", text).split()


def test_the_objects_select_the_pods():
    labels = pod()["metadata"]["labels"]
    selectors = [load("deployment")["spec"]["selector"], load("poddisruptionbudget")["spec"]["selector"],
                 load("networkpolicy")["spec"]["podSelector"], load("podmonitor")["spec"]["selector"],
                 *(spread["labelSelector"] for spread in pod()["spec"]["topologySpreadConstraints"])]
    assert len(labels) == 2 and selectors == [{"matchLabels": labels}] * 5
    resources = load("kustomization")["resources"]
    others = {"kustomization.yaml", "signalbus.conf"}
    assert set(resources) == {path.name for path in OBJECTS.iterdir()} - others


def test_the_pods_are_as_the_program_needs_them():
    spec = pod()["spec"]
    assert spec["terminationGracePeriodSeconds"] > 2 * DEFAULT_TIMEOUT
    assert load("deployment")["spec"]["replicas"] == 2
    assert load("poddisruptionbudget")["spec"]["maxUnavailable"] == 1
    [port] = container()["ports"]
    probed = {kind: container()[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")}
    assert {kind: get["path"] for kind, get in probed.items()} == {
        "liveness": "/healthz", "readiness": "/readyz"}
    [endpoint] = load("podmonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["path"] == "/metrics"
    assert {endpoint["port"], *(get["port"] for get in probed.values())} == {port["name"]}
    [ingress] = load("networkpolicy")["spec"]["ingress"]
    assert [allowed["port"] for allowed in ingress["ports"]] == [port["containerPort"]]
    assert f':{port["containerPort"]}"' in (OBJECTS / "signalbus.conf").read_text()


def test_the_pods_have_no_rights_and_no_secrets_in_the_environment():
    spec, own = pod()["spec"], container()["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
    assert own == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                   "capabilities": {"drop": ["ALL"]}}
    assert [variable["name"] for variable in container()["env"]] == ["SIGNALBUS_CONFIG"]


def test_versions_and_configurations_agree():
    [image] = load("kustomization")["images"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert image["newTag"] == chart["version"] == chart["appVersion"] == VERSION
    packaging = ROOT / "packaging"
    assert (packaging / "debian/changelog").read_text().startswith(f"signalbus ({VERSION}-")
    assert re.search(rf"^Version: +{VERSION}$", (packaging / "signalbus.spec").read_text(), re.M)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert without_comments(values["config"]) == without_comments(
        (OBJECTS / "signalbus.conf").read_text())


class Pod:
    """
    The one container of a pod: a read-only root that has /usr of this machine, the program as its
    entry point, and the volumes.  files has the content of each volume, by name.
    """

    ENTER = """
        set -e
        mount --make-rprivate /
        cd {root}
        mount --bind . .
        cd {root}
        mount --rbind /usr usr
        mount --bind {program} signalbus
        mount -o remount,bind,ro .
        exec chroot . /usr/bin/setpriv {identity} --no-new-privs --bounding-set=-all \
            --inh-caps=-all -- /usr/bin/env -i {environment} /signalbus {arguments}
    """

    def __init__(self, signalbus, root, files):
        spec = pod()["spec"]
        security = spec["securityContext"]
        root.mkdir()
        (root / "usr").mkdir()
        (root / "signalbus").touch()
        for link in Path("/").glob("lib*"):
            (root / link.name).symlink_to(os.readlink(link))
        for mount in container()["volumeMounts"]:
            folder = root / mount["mountPath"].lstrip("/")
            folder.mkdir(parents=True)
            for name, text in files[mount["name"]].items():
                (folder / name).write_text(text)
                (folder / name).chmod(0o440 if mount["name"] == "secrets" else 0o644)
                if os.geteuid() == 0:
                    os.chown(folder / name, 0, security["fsGroup"])
        namespace, identity = ["unshare", "--mount"], "--reuid={0} --regid={1} --groups={2}".format(
            security["runAsUser"], security["runAsGroup"], security["fsGroup"])
        if os.geteuid() != 0:
            namespace, identity = [*namespace, "--user", "--map-root-user"], ""
        environment = [f'{variable["name"]}={variable["value"]}' for variable in container()["env"]]
        script = self.ENTER.format(
            root=root, program=BINARY, identity=identity, environment=shlex.join(environment),
            arguments=shlex.join(container()["args"]))
        self.daemon = signalbus.start(command=[*namespace, "sh", "-c", script])


def status_of(port, probe):
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}{probe["httpGet"]["path"]}',
                                    timeout=probe["timeoutSeconds"]) as page:
            return page.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def test_the_program_works_as_the_pod_starts_it(signalbus, schema, make_topic, folder):
    table, topic, port = schema.make_signals("t", 5), make_topic(), Ports.take()
    text = (OBJECTS / "signalbus.conf").read_text()
    for old, new in [
            ("kafka:9093", signalbus.bootstrap), ('"SASL_SSL"', '"SASL_PLAINTEXT"'),
            ("shop.order_created", table), ("orders.created", topic), (':9464"', f':{port}"'),
            (' key = "customer_id"; ', " ")]:
        assert old in text
        text = text.replace(old, new)
    # The broker of the tests has no passwords: that signalbus reads the file is seen in a refusal.
    secrets = {"database": signalbus.database, "kafka-password": "secret"}
    refused = Pod(signalbus, folder / "refused", {"configuration": {"signalbus.conf": text}, "secrets": {}})
    refused.daemon.wait_log("/run/secrets/signalbus/")
    refused.daemon.stop()
    text = re.sub(r"  s[a-z]+_(protocol|mechanism|username|password) .*\n", "", text)
    running = Pod(signalbus, folder / "running",
                  {"configuration": {"signalbus.conf": text}, "secrets": secrets})
    for probe in container()["livenessProbe"], container()["readinessProbe"]:
        wait_until(lambda: status_of(port, probe) == 200 or not running.daemon.is_alive(), 60,
                   f"status 200 of {probe}")
    wait_until(lambda: schema.count("t") == 0, 60, "the signals sent")
    running.daemon.stop(timeout=pod()["spec"]["terminationGracePeriodSeconds"]).expect(0)
    assert json.loads(running.daemon.log().splitlines()[-1])["message"] == "stopped"


def tool(*words):
    """What a tool of make check-kubernetes prints."""
    done = subprocess.run([str(word) for word in words], cwd=ROOT, timeout=100, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rendered(*words):
    """The objects that kubectl or helm prints, by kind."""
    objects = [o for o in yaml.safe_load_all(tool(*words)) if o]
    assert len({o["kind"] for o in objects}) == len(objects)
    return {o["kind"]: o for o in objects}


def kustomized():
    return rendered(TOOLS / "bin/kubectl", "kustomize", OBJECTS)


def templated(*options):
    return rendered(TOOLS / "bin/helm", "template", *options, CHART)


@pytest.mark.kubernetes
@pytest.mark.parametrize("version", ["1.25", "1.29", "1.33", "1.37"])
def test_the_objects_are_valid(folder, version):
    """PodMonitor belongs to the operator of Prometheus, so Kubernetes has no schema of it."""
    sets = {"plain": kustomized(), "chart": templated("shop", "--set", "env[0].name=A",
                                                      "--set", "env[0].value=b")}
    for name, objects in sets.items():
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump_all(
            [o for kind, o in objects.items() if kind != "PodMonitor"]))
        tool(TOOLS / "venv/bin/kubernetes-validate", "--strict", "-k", version, path)
    path.write_text(yaml.safe_dump({**sets["plain"]["Deployment"], "spec": {"replicas": "two"}}))
    with pytest.raises(AssertionError):
        tool(TOOLS / "venv/bin/kubernetes-validate", "--strict", "-k", version, path)


@pytest.mark.kubernetes
def test_the_chart_is_conf_kubernetes_with_values():
    """With the default values it has the same objects, except for names of the configuration."""
    plain, chart = kustomized(), templated("signalbus")
    assert set(plain) == set(chart)
    for objects in plain, chart:
        name = objects["ConfigMap"]["metadata"]["name"]
        template = objects["Deployment"]["spec"]["template"]
        [volume] = [v for v in template["spec"]["volumes"] if "configMap" in v]
        assert volume["configMap"].pop("name") == name
        template["metadata"].pop("annotations", None)
        container(template["spec"]).pop("imagePullPolicy", None)
        for each in objects.values():
            each["metadata"].pop("namespace", None)
        del objects["ConfigMap"]
    assert plain == chart


@pytest.mark.kubernetes
def test_the_chart_takes_its_values():
    tool(TOOLS / "bin/helm", "lint", "--strict", CHART)
    objects = templated("shop", "--set", "replicas=3,secretName=mine,image.tag=9",
                        "--set", "podMonitor.enabled=false,networkPolicy.enabled=false",
                        "--set", "nodeSelector.disk=fast,imagePullSecrets[0].name=registry",
                        "--set", "tolerations[0].key=a,env[0].name=PGSSLROOTCERT,env[0].value=/ca")
    assert set(objects) == {"ConfigMap", "Deployment", "PodDisruptionBudget"}
    deployment = objects["Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    assert deployment["metadata"]["name"] == "signalbus-shop" and deployment["spec"]["replicas"] == 3
    assert spec["volumes"][1]["secret"]["secretName"] == "mine"
    assert container(spec)["image"] == "signalbus:9"
    assert container(spec)["env"][1] == {"name": "PGSSLROOTCERT", "value": "/ca"}
    assert (spec["nodeSelector"], spec["imagePullSecrets"], spec["tolerations"]) == (
        {"disk": "fast"}, [{"name": "registry"}], [{"key": "a"}])
    annotations = [templated("shop", "--set", f"config={text}")["Deployment"]["spec"]["template"][
        "metadata"]["annotations"]["checksum/configuration"] for text in "ab"]
    assert annotations[0] != annotations[1]


# What needs a cluster is replaced by what prints the same objects.
WITHOUT_CLUSTER = {"helm install": ("helm template", ""), "kubectl apply -k": ("kubectl kustomize", ""),
                   "kubectl create": ("kubectl create", "--dry-run=client"),
                   "kubectl -n signalbus create": ("kubectl create", "--dry-run=client")}


@pytest.mark.kubernetes
def test_the_documented_commands(folder):
    (folder / "conf").symlink_to(ROOT / "conf")
    for name in ("database", "kafka-password", "signalbus.conf"):
        (folder / name).write_text(name)
    page = (ROOT / "docs/install.md").read_text().split("## On Kubernetes\n")[1]
    commands = "".join(re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)).replace("\\\n", "")
    for command in commands.splitlines():
        [start] = [start for start in WITHOUT_CLUSTER if command.startswith(start)]
        instead, option = WITHOUT_CLUSTER[start]
        tool("sh", "-ec", f'cd "$0"; PATH="$1:$PATH"; {command.replace(start, instead)} {option}',
             folder, TOOLS / "bin")
    assert len(commands.splitlines()) == 4
