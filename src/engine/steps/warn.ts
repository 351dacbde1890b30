import { Deployment } from '../../entities/deployment.js'
import { stageUrl } from '../addresses.js'
import type { Image } from '../docker/docker.js'
import { LostClaimError } from '../errors.js'
import { oneLine } from '../quoted-text.js'
import { step, type Services } from '../services.js'
import { askPage } from '../traffic/ask-page.js'
import type { Healthy } from './check.js'
import type { DeploymentRun } from './deployment-run.js'

/** A page that takes longer is slow, and nothing is said of it. */
const PAGE_MS = 2_000
const MAX_WARNING = 500
/** Paths of volumes that are named. */
const MAX_NAMED = 5

/** What runs, and of which image. */
interface Running {
  readonly image: Image
  readonly healthy: Healthy
}

/**
 * Says in the log, and stores with the deployment, what is odd about an app that is well by its check. Never fails it.
 *
 * @throws LostClaimError when the claim is lost
 */
export function warn(run: DeploymentRun, running: Running, services: Services): Promise<void> {
  return step(services, 'warn', async () => {
    const found = [ofVolumes(running.image), await ofPage(run, running.healthy, services)]
    const said = found.filter((warning) => warning !== null)
    const warnings = said.map((warning) => oneLine(run.log.mask(warning), MAX_WARNING))
    for (const warning of warnings) run.log.system(`Warning: ${warning}`)
    if (warnings.length === 0 && run.deployment.warnings.length === 0) return
    const { deploymentId: id, epoch } = run.claim
    const result = await services.database.getRepository(Deployment).update({ id, epoch }, { warnings })
    if (result.affected === 0) throw new LostClaimError(id)
  })
}

function ofVolumes({ volumes }: Image): string | null {
  if (volumes.length === 0) return null
  const more = volumes.length > MAX_NAMED ? `, … (${volumes.length} in all)` : ''
  const paths = volumes.slice(0, MAX_NAMED).join(', ') + more
  return `the image declares volumes (${paths}): what the app writes there is lost with each deployment and restart; keep it in a database or an object store`
}

/** What a visitor of the stage sees first. */
async function ofPage(run: DeploymentRun, healthy: Healthy, services: Services): Promise<string | null> {
  const url = stageUrl(run.app.name, run.stage.name, services.settings)
  const { addresses, port } = healthy
  const asked = { host: addresses[0] ?? '', port, url, timeoutMs: PAGE_MS, signal: run.signal }
  const page = await askPage(asked)
  run.signal.throwIfAborted()
  if (page === null) return null
  const { host, protocol } = new URL(url)
  if (page.status >= 400 && page.status !== 401 && page.status !== 403 && page.status !== 404)
    return `GET / answers ${page.status} for the host ${host}, although the app passes its check`
  const { location = '' } = page.headers
  const target = URL.canParse(location, url) ? new URL(location, url) : null
  if (
    page.status >= 300 &&
    protocol === 'http:' &&
    target?.protocol === 'https:' &&
    target.hostname === new URL(url).hostname
  )
    return `GET / redirects to ${target.origin}, where only a proxy in front of this installation can answer (its PUBLIC_PORT is not 443)`
  return null
}
