import { DeploymentTrigger } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { buildKey } from '../configuration/build-key.js'
import type { Image } from '../docker/docker.js'
import { DeployError, LostClaimError } from '../errors.js'
import { imageName } from '../names.js'
import { DEPLOYMENT_LABEL, forbiddenLabels } from '../routing/labels.js'
import type { Services } from '../services.js'
import type { DeploymentRun } from './deployment-run.js'

/** Images of other deployments that are looked at: the newest that were built alike. */
const CANDIDATES = 5

/**
 * An image that is there already: the one that an earlier attempt of the deployment finished, or the one of another
 * deployment that this one is to run again. Null: it has to be built.
 */
export async function reuseImage(run: DeploymentRun, services: Services): Promise<Image | null> {
  const { deployment } = run
  if (deployment.imageId) return useAgain(run, services)
  if (deployment.attempt <= 1) return null
  const tag = tagOf(run, services)
  const finished = await services.docker.findImage(tag, run.signal)
  if (finished?.labels[DEPLOYMENT_LABEL] !== deployment.id) return null
  run.log.system(`Image ${tag} already exists`)
  return accept(run, { image: finished, commitSha: null }, services)
}

/** The name of the deployment's image. */
export function tagOf({ app, deployment }: DeploymentRun, { settings }: Services): string {
  return imageName(settings.imagePrefix, app.name, deployment.id)
}

/** The undo of whatever has made the deployment's image, or given it the deployment's name. */
export async function removeImage(run: DeploymentRun, services: Services): Promise<void> {
  await services.docker.removeImage(tagOf(run, services))
}

async function useAgain(run: DeploymentRun, services: Services): Promise<Image | null> {
  const image = await findAndTag(run, run.deployment.imageId ?? '', services)
  if (!image) {
    // The others were asked to run what is there; a restart or a retry may build it again.
    if ([DeploymentTrigger.ROLLBACK, DeploymentTrigger.PROMOTE].includes(run.deployment.trigger)) {
      const message = 'the image of that release no longer exists: deploy its commit again'
      throw new DeployError('IMAGE_GONE', message)
    }
    run.log.system('The image is gone: rebuilding its commit')
    return null
  }
  run.log.system(`Using image ${tagOf(run, services)} without a build`)
  return accept(run, { image, commitSha: null }, services)
}

/**
 * The image of an earlier deployment of the app that was built of the same commit in the same way, if it is kept and
 * no build without the cache was asked for. What a step takes from elsewhere (packages) may have changed since: that is
 * what `noCache` is for. A base image that the engine has may be used as it is even then.
 */
export async function findBuilt(
  run: DeploymentRun,
  commitSha: string,
  services: Services,
): Promise<Image | null> {
  const { app, deployment, log } = run
  if (deployment.noCache) return null
  const rows = await services.database.query<{ imageId: string }[]>(
    `SELECT image_id AS "imageId" FROM deployment
      WHERE app_id = $1 AND build_key = $2 AND image_id IS NOT NULL AND id <> $3
      ORDER BY generation DESC LIMIT ${CANDIDATES}`,
    [app.id, keyOf(run, commitSha, services), deployment.id],
  )
  for (const imageId of new Set(rows.map((row) => row.imageId))) {
    const image = await findAndTag(run, imageId, services)
    if (!image) continue
    const tag = tagOf(run, services)
    log.system(`Commit ${commitSha} was already built with the same settings: using its image as ${tag}`)
    return accept(run, { image, commitSha }, services)
  }
  return null
}

/** Null: it is gone, or goes in this moment. */
async function findAndTag(run: DeploymentRun, imageId: string, services: Services): Promise<Image | null> {
  const { docker } = services
  const image = await docker.findImage(imageId, run.signal)
  return image && (await docker.tagImage(imageId, tagOf(run, services), run.signal)) ? image : null
}

function keyOf(run: DeploymentRun, commitSha: string, services: Services): string {
  return buildKey(commitSha, run.configuration, services.settings)
}

/** Writes down the deployment's image; with the commit that it was built of others can find it. */
export async function accept(
  run: DeploymentRun,
  { image, commitSha }: { readonly image: Image; readonly commitSha: string | null },
  services: Services,
): Promise<Image> {
  refuseRoutingLabels(image)
  const key = commitSha === null ? {} : { buildKey: keyOf(run, commitSha, services) }
  const result = await services.database
    .getRepository(Deployment)
    .update(
      { id: run.deployment.id, epoch: run.claim.epoch },
      { image: tagOf(run, services), imageId: image.id, ...key },
    )
  if (result.affected === 0) throw new LostClaimError(run.deployment.id)
  return image
}

function refuseRoutingLabels(image: Image): void {
  const labels = forbiddenLabels(image.labels)
  if (labels.length === 0) return
  const message = `the image carries the label "${labels[0]}": labels that begin with "traefik." are reserved for Longshore; remove them from the Dockerfile or its base image`
  throw new DeployError('FORBIDDEN_LABEL', message)
}
