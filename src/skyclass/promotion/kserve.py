"""Champions on a cluster: a promotion changes the InferenceService, and ends when it is served."""

import logging

from skyclass.errors import ClusterError, PromotionError
from skyclass.promotion.cluster import Cluster, ConflictError, Manifest
from skyclass.promotion.events import Promotion, PromotionLog
from skyclass.promotion.inference_service import (
    RUN,
    InferenceService,
    at_version,
    make_manifest,
)
from skyclass.promotion.lineage import find_rollback_target
from skyclass.promotion.rollout import OvertakenError, Rollouts
from skyclass.registry.releases import Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode, model_name

logger = logging.getLogger(__name__)

_TRIES = 20
"""KServe may write the status between our reading and writing, but not so often in a row."""


class KServeChampionStore:
    """The champion is what the InferenceService serves; promotions in the bucket are its history.

    A promotion that dies on the way leaves no damage: until all pods serve the new release the
    champion before is champion, afterwards the new one is, and the next promotion records it.
    """

    def __init__(self, store: ObjectStore) -> None:
        """Use the InferenceServices of the settings' namespace.

        Raises:
            ClusterError: There is no way to the cluster.
        """
        settings = store.settings
        self._registry = Registry(store)
        self._log = PromotionLog(store)
        self._settings = settings
        self._bucket = settings.models_bucket
        self._cluster = Cluster(settings.namespace)
        self._rollouts = Rollouts(self._cluster, settings.promotion_seconds)

    def get_champion(self, mode: Mode) -> Release | None:
        """The release that the InferenceService serves, if there is one.

        Raises:
            ClusterError: Kubernetes refuses, or does not answer.
            ReleaseError: Its manifest is not the one of its id.
        """
        champion = self._champion(mode, self._current(mode), self.list_promotions(mode))
        return self._registry.read(mode, champion) if champion else None

    def get_rollback_target(self, mode: Mode) -> Release:
        """The release that the champion once replaced: where a rollback leads.

        Raises:
            ClusterError: Kubernetes refuses, or does not answer.
            ReleaseError: There is no champion, or it was the first.
        """
        history = self.list_promotions(mode)
        champion = self._champion(mode, self._current(mode), history)
        return self._registry.read(mode, find_rollback_target(mode, champion, history))

    def list_promotions(self, mode: Mode) -> list[Promotion]:
        """All promotions of a mode, the oldest first."""
        return self._log.list_promotions(mode)

    def promote(self, release: Release, reason: str, run_id: str) -> Promotion:
        """Have the InferenceService serve a release, wait until it does, and record it.

        Raises:
            ClusterError: Kubernetes refuses, or does not answer.
            OvertakenError: Another promotion came first; its release stays.
            PromotionError: The release cannot be served; what was served before is again.
            StoreError: It is served, and could not be recorded; the next promotion will.
        """
        mode = release.mode
        target = self._manifest(release)
        before, history = self._current(mode), self.list_promotions(mode)
        champion = self._champion(mode, before, history)
        self._adopt(mode, champion, before, history)
        restorable = self._restorable(mode, champion, before)
        applied = self._swap(before, target)
        logger.info("%s is told to serve release %s", applied.name, release.id)
        try:
            self._rollouts.wait(applied, release.id)
        except OvertakenError as error:
            raise OvertakenError(
                f"release {release.id[:12]} was not promoted: {error}: see `skyclass releases`, "
                "then promote again if it still should be champion"
            ) from error
        except PromotionError as error:
            outcome = self._restore(applied, restorable, champion)
            raise PromotionError(
                f"release {release.id[:12]} was not promoted, as it is not served ({error}); "
                f"{outcome}: mend the cause, or train a new release"
            ) from error
        return self._log.append(mode, champion, release.id, reason, run_id)

    def _current(self, mode: Mode) -> InferenceService | None:
        return self._rollouts.current(model_name(mode))

    def _champion(
        self, mode: Mode, service: InferenceService | None, history: list[Promotion]
    ) -> str | None:
        """Id of the champion, whose manifest may be damaged."""
        if service is None:
            return None
        recorded = history[-1].to_release if history else None
        told = service.release_id(mode, self._bucket)
        if told == recorded or self._rollouts.is_settled(service):
            return told
        return recorded  # a promotion is under way, or died: that one's pods still answer

    def _adopt(
        self,
        mode: Mode,
        champion: str | None,
        service: InferenceService | None,
        history: list[Promotion],
    ) -> None:
        """Record the promotion of a champion whose publisher died before it could."""
        recorded = history[-1].to_release if history else None
        if champion is None or champion == recorded or service is None:
            return
        run_id = service.annotations.get(RUN, "unknown")
        logger.warning("release %s is served and was not recorded: adopted", champion)
        self._log.append(
            mode, recorded, champion, "adopted: it was served, but not recorded", run_id
        )

    def _manifest(self, release: Release) -> Manifest:
        name, key = self._settings.inference_service_templates, f"{release.mode}.yaml"
        templates = self._cluster.config_map(name)
        if not templates or key not in templates:
            raise ClusterError(
                f"there is no {key} in ConfigMap {name} of namespace {self._cluster.namespace}: "
                "install the chart there, or correct SKYCLASS_INFERENCE_SERVICE_TEMPLATES"
            )
        return make_manifest(templates[key], release, self._bucket, f"{key} in ConfigMap {name}")

    def _restorable(
        self, mode: Mode, champion: str | None, service: InferenceService | None
    ) -> Manifest | None:
        """What to apply should the promotion fail; nothing when there is nothing to restore."""
        if service is None:
            return None
        if service.release_id(mode, self._bucket) == champion:
            # To the last field, so that the pods that still answer are kept and none is started.
            return service.applied()
        return self._manifest(self._registry.read(mode, champion)) if champion else None

    def _swap(self, before: InferenceService | None, manifest: Manifest) -> InferenceService:
        """Apply a manifest, unless another promotion was faster."""
        latest = before
        for _ in range(_TRIES):
            try:
                return InferenceService(self._cluster.apply(at_version(manifest, latest)))
            except ConflictError:
                latest = self._rollouts.current(manifest["metadata"]["name"])
                if latest is None or before is None or latest.identity != before.identity:
                    raise OvertakenError(
                        f"another promotion of {manifest['metadata']['name']} was faster: see "
                        "`skyclass releases`, then promote again if it still should be champion"
                    ) from None
        raise ClusterError(f"{manifest['metadata']['name']} changes all the time: try again")

    def _restore(
        self, applied: InferenceService, manifest: Manifest | None, champion: str | None
    ) -> str:
        """Bring back what was served before, and say how that went."""
        if manifest is None:
            self._cluster.delete(applied.name, applied.uid)
            self._rollouts.wait_deleted(applied)
            return "there was none before it, so nothing is served"
        who = f"release {champion[:12]}" if champion else "what was there before"
        try:
            self._rollouts.wait(self._swap(applied, manifest), champion)
        except PromotionError as error:
            return f"{who} could not be restored ({error})"
        return f"{who} is served as before"
