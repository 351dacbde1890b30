import { DeploymentTrigger } from '../../entities/deployment-status.js'
import { Deployment } from '../../entities/deployment.js'
import { buildKey } from '../build-key.js'
import type { Image } from '../docker/docker.js'
import { DeployError, LostClaimError } from '../errors.js'
import { DEPLOYMENT_LABEL, forbiddenLabels } from '../routing/labels.js'
import type { Services, DeploymentRun } from './deployment-run.js'

/** Images of other deployments that are looked at: the newest that were built alike. */
const CANDIDATES = 5

/** `mvp-{app}:{deploymentId}`; the prefix is a setting. */
export function imageName(prefix: string, appName: string, deploymentId: string): string {
  return `${prefix}-${appName}:${deploymentId}`
}

/** Those of an image's names that Longshore gave it. A person may have given it others (`docker tag`), to keep. */
export function ownNames(prefix: string, names: readonly string[]): string[] {
  return names.filter(
    (name) =>
      name.startsWith(`${prefix}-`) && /^[a-z0-9-]+:[a-z][a-z0-9]{11}$/.test(name.slice(prefix.length + 1)),
  )
}

/**
 * An image that is there already: the one that an earlier attempt of the deployment finished, or the one of another
 * deployment that this one is to run again. Null: it has to be built.
 */
export async function reuseImage(
  run: DeploymentRun,
  services: Services,
  signal: AbortSignal,
): Promise<Image | null> {
  const { app, deployment } = run
  const tag = imageName(services.settings.imagePrefix, app.name, deployment.id)
  if (deployment.imageId) return useAgain(run, tag, services, signal)
  if (deployment.attempt <= 1) return null
  const finished = await services.docker.findImage(tag, signal)
  if (finished?.labels[DEPLOYMENT_LABEL] !== deployment.id) return null
  run.log.system(`Image ${tag} is built already`)
  return accept(run, finished, tag, services)
}

async function useAgain(
  run: DeploymentRun,
  tag: string,
  services: Services,
  signal: AbortSignal,
): Promise<Image | null> {
  const image = await findAndTag(run.deployment.imageId ?? '', tag, services, signal)
  if (!image) {
    // The others were asked to run what is there; a restart or a retry may build it again.
    if ([DeploymentTrigger.ROLLBACK, DeploymentTrigger.PROMOTE].includes(run.deployment.trigger)) {
      const message = 'the image of that release is not kept any more: deploy its commit again'
      throw new DeployError('IMAGE_GONE', message)
    }
    run.log.system('The image is gone: rebuilding its commit')
    return null
  }
  run.log.system(`Using image ${tag} without a build`)
  return accept(run, image, tag, services)
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
  signal: AbortSignal,
): Promise<Image | null> {
  const { app, deployment, log } = run
  if (deployment.noCache) return null
  const tag = imageName(services.settings.imagePrefix, app.name, deployment.id)
  const rows = await services.database.query<{ imageId: string }[]>(
    `SELECT image_id AS "imageId" FROM deployment
      WHERE app_id = $1 AND build_key = $2 AND image_id IS NOT NULL AND id <> $3
      ORDER BY generation DESC LIMIT ${CANDIDATES}`,
    [app.id, keyOf(run, commitSha, services), deployment.id],
  )
  for (const imageId of new Set(rows.map((row) => row.imageId))) {
    const image = await findAndTag(imageId, tag, services, signal)
    if (!image) continue
    log.system(`Commit ${commitSha} with the same build settings is built already: using its image as ${tag}`)
    return accept(run, image, tag, services, commitSha)
  }
  return null
}

/** Null: it is gone, or goes in this moment. */
async function findAndTag(
  imageId: string,
  tag: string,
  { docker }: Services,
  signal: AbortSignal,
): Promise<Image | null> {
  const image = await docker.findImage(imageId, signal)
  return image && (await docker.tagImage(imageId, tag, signal)) ? image : null
}

function keyOf(run: DeploymentRun, commitSha: string, services: Services): string {
  return buildKey(commitSha, run.configuration, services.settings)
}

/** Writes down the deployment's image; with the commit that it was built of others can find it. */
export async function accept(
  run: DeploymentRun,
  image: Image,
  tag: string,
  services: Services,
  commitSha: string | null = null,
): Promise<Image> {
  refuseRoutingLabels(image)
  const key = commitSha === null ? {} : { buildKey: keyOf(run, commitSha, services) }
  const result = await services.database
    .getRepository(Deployment)
    .update({ id: run.deployment.id, epoch: run.claim.epoch }, { image: tag, imageId: image.id, ...key })
  if (result.affected === 0) throw new LostClaimError(run.deployment.id)
  return image
}

function refuseRoutingLabels(image: Image): void {
  const labels = forbiddenLabels(image.labels)
  if (labels.length === 0) return
  const message = `the image carries the label "${labels[0]}": labels that begin with "traefik." are Longshore's; remove them from the Dockerfile or its base image`
  throw new DeployError('FORBIDDEN_LABEL', message)
}
