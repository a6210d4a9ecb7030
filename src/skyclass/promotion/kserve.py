"""Champions on a cluster: a promotion updates the InferenceService and waits for its rollout."""

import logging

from skyclass.errors import ClusterError, PromotionError
from skyclass.promotion.cluster import Cluster, ConflictError, KubernetesObject
from skyclass.promotion.events import Promotion, PromotionLog
from skyclass.promotion.inference_service import (
    RUN,
    InferenceService,
    make_inference_service,
    set_version,
)
from skyclass.promotion.lineage import find_rollback_target
from skyclass.promotion.memory import check_memory
from skyclass.promotion.rollout import OvertakenError, Rollouts
from skyclass.registry.releases import Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode, model_name

logger = logging.getLogger(__name__)

_MAX_CONFLICTS = 20
"""KServe may write the status between read and update, but not this often in a row."""


class KServeChampionStore:
    """The champion is the release that the InferenceService serves; the event log is its history.

    An interrupted promotion does no damage: the previous release stays champion until all pods
    serve the new one. From then on the new release is champion, and the next promotion records it.
    """

    def __init__(self, store: ObjectStore) -> None:
        """Use the InferenceServices in the namespace of the settings.

        Raises:
            ClusterError: No cluster is configured.
        """
        settings = store.settings
        self._registry = Registry(store)
        self._log = PromotionLog(store)
        self._settings = settings
        self._bucket = settings.models_bucket
        self._cluster = Cluster(settings.namespace)
        self._rollouts = Rollouts(self._cluster, settings.promotion_seconds)

    def get_champion(self, mode: Mode) -> Release | None:
        """Return the release that the InferenceService serves, or None.

        Raises:
            ClusterError: The Kubernetes API rejected a request or is unreachable.
            ReleaseError: Its manifest is malformed or was modified.
        """
        champion = self._find_champion_id(mode, self._get_service(mode), self.list_promotions(mode))
        return self._registry.read(mode, champion) if champion else None

    def get_rollback_target(self, mode: Mode) -> Release:
        """Return the release that the champion replaced.

        Raises:
            ClusterError: The Kubernetes API rejected a request or is unreachable.
            ReleaseError: There is no champion, or it was the first.
        """
        history = self.list_promotions(mode)
        champion = self._find_champion_id(mode, self._get_service(mode), history)
        return self._registry.read(mode, find_rollback_target(mode, champion, history))

    def list_promotions(self, mode: Mode) -> list[Promotion]:
        """Return all promotions of a mode, oldest first."""
        return self._log.list_promotions(mode)

    def promote(
        self, release: Release, reason: str, run_id: str, approved_by: str | None = None
    ) -> Promotion:
        """Update the InferenceService to serve a release, wait for the rollout, and record it.

        Raises:
            ClusterError: The Kubernetes API rejected a request or is unreachable.
            MemoryLimitError: The release needs more memory than the predictor's limit.
            OvertakenError: Another promotion came first; its release stays champion.
            PromotionError: The rollout failed; the previous release was restored.
            StoreError: It is served but could not be recorded; the next promotion records it.
        """
        mode = release.mode
        target = self._make_service(release)
        check_memory(release, target)
        before, history = self._get_service(mode), self.list_promotions(mode)
        champion = self._find_champion_id(mode, before, history)
        self._adopt(mode, champion, before, history)
        restorable = self._restorable(mode, champion, before)
        applied = self._swap(before, target)
        logger.info("%s updated to release %s, waiting for its pods", applied.name, release.id)
        try:
            self._rollouts.wait(applied, release.id)
        except OvertakenError as error:
            raise OvertakenError(
                f"release {release.id[:12]} was not promoted: {error}: see `skyclass releases`, "
                "then promote again if this release should be champion"
            ) from error
        except PromotionError as error:
            outcome = self._restore(applied, restorable, champion)
            raise PromotionError(
                f"release {release.id[:12]} was not promoted: its rollout failed ({error}); "
                f"{outcome}: fix the cause, or train a new release"
            ) from error
        return self._log.append(mode, champion, release.id, reason, run_id, approved_by)

    def _get_service(self, mode: Mode) -> InferenceService | None:
        return self._rollouts.get(model_name(mode))

    def _find_champion_id(
        self, mode: Mode, service: InferenceService | None, history: list[Promotion]
    ) -> str | None:
        """Return the id of the champion; its manifest may be damaged."""
        if service is None:
            return None
        recorded = history[-1].to_release if history else None
        target = service.release_id(mode, self._bucket)
        if target == recorded or self._rollouts.is_complete(service):
            return target
        return recorded  # a promotion is in progress or was interrupted: its pods still serve

    def _adopt(
        self,
        mode: Mode,
        champion: str | None,
        service: InferenceService | None,
        history: list[Promotion],
    ) -> None:
        """Record the promotion of a champion if the promoting process ended before it did."""
        recorded = history[-1].to_release if history else None
        if champion is None or champion == recorded or service is None:
            return
        run_id = service.annotations.get(RUN, "unknown")
        logger.warning(
            "release %s is served but its promotion was not recorded: recording it", champion
        )
        self._log.append(
            mode, recorded, champion, "adopted: it was served, but not recorded", run_id
        )

    def _make_service(self, release: Release) -> KubernetesObject:
        name, key = self._settings.inference_service_templates, f"{release.mode}.yaml"
        templates = self._cluster.get_config_map(name)
        if not templates or key not in templates:
            raise ClusterError(
                f"ConfigMap {name} of namespace {self._cluster.namespace} has no key {key}: "
                "install the chart there, or fix SKYCLASS_INFERENCE_SERVICE_TEMPLATES"
            )
        return make_inference_service(
            templates[key], release, self._bucket, f"{key} in ConfigMap {name}"
        )

    def _restorable(
        self, mode: Mode, champion: str | None, service: InferenceService | None
    ) -> KubernetesObject | None:
        """Return what to apply if the promotion fails; None if nothing was served before."""
        if service is None:
            return None
        if service.release_id(mode, self._bucket) == champion:
            # Every field as it is, so that its pods are kept and no new ones start.
            return service.to_applicable()
        return self._make_service(self._registry.read(mode, champion)) if champion else None

    def _swap(self, before: InferenceService | None, target: KubernetesObject) -> InferenceService:
        """Apply an InferenceService unless another promotion changed it since it was read."""
        latest = before
        for _ in range(_MAX_CONFLICTS):
            try:
                return InferenceService(self._cluster.apply(set_version(target, latest)))
            except ConflictError:
                latest = self._rollouts.get(target["metadata"]["name"])
                if latest is None or before is None or latest.identity != before.identity:
                    raise OvertakenError(
                        f"another promotion changed {target['metadata']['name']} first: see "
                        "`skyclass releases`, then promote again if this release should be champion"
                    ) from None
        raise ClusterError(
            f"{target['metadata']['name']} conflicted {_MAX_CONFLICTS} times: try again"
        )

    def _restore(
        self, applied: InferenceService, previous: KubernetesObject | None, champion: str | None
    ) -> str:
        """Restore what was served before, and return the outcome for the message."""
        name = f"release {champion[:12]}" if champion else "the previous InferenceService"
        try:
            if previous is None:
                self._cluster.delete(applied.name, applied.uid)
                self._rollouts.wait_deleted(applied)
                return "it was the first, so nothing is served"
            self._rollouts.wait(self._swap(applied, previous), champion)
        except (ClusterError, PromotionError) as error:
            return f"{name} could not be restored ({error})"
        return f"{name} is served as before"
