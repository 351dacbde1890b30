import type { DeploymentStatus } from '../../entities/deployment-status.js'
import type { Forge } from '../../entities/webhook-delivery.js'
import { type ForgeClient, ForgeError } from '../forges/forge-client.js'
import { stageUrl } from '../addresses.js'
import { PeriodicTask } from '../wakeups/periodic-task.js'
import { DecryptError } from '../secrets/secrets.js'
import type { Services } from '../services.js'
import { statusTokenAad } from '../secrets/aad.js'
import { type CommitState, postStatus } from './statuses.js'

const EVERY_MS = 5_000
/** So often the forge is told the same; then it is given up until the deployment's state changes. */
const MAX_ATTEMPTS = 6
/** A worker that tells a forge has it to itself for so long: more than a request may take. */
const CLAIM_SECONDS = 30
const RETRY_SECONDS = [5, 10, 20, 40, 60]
const AT_ONCE = 20

// Of each commit and stage the newest deployment speaks. Those of the last day: what is older has been told or given up.
const NEWEST = `
  SELECT * FROM (
    SELECT DISTINCT ON (d.stage_id, d.commit_sha) d.id, shown.status, d.commit_sha, d.stage_id, t.*, a.name AS app_name,
           CASE WHEN shown.status IN ('RUNNING', 'RETIRED') THEN 'success'
                WHEN shown.status IN ('FAILED', 'ROLLED_BACK') THEN 'failure'
                WHEN shown.status IN ('CANCELLED', 'SUPERSEDED') THEN 'ended' ELSE 'pending' END AS state
      FROM commit_status_target t
      JOIN app a ON a.id = t.app_id AND a.deleted_at IS NULL
      JOIN deployment d ON d.app_id = t.app_id, LATERAL (SELECT coalesce(d.shown_as, d.status) AS status) shown
     WHERE t.stale_reason IS NULL AND d.commit_sha IS NOT NULL AND d.created_at > now() - interval '1 day'
     ORDER BY d.stage_id, d.commit_sha, d.generation DESC) speaking`

const WANT = `
  INSERT INTO commit_status_report AS r (deployment_id, wanted) SELECT id, state FROM (${NEWEST}) n
  ON CONFLICT (deployment_id) DO UPDATE SET wanted = excluded.wanted, attempts = 0
   WHERE r.wanted <> excluded.wanted`

const CLAIM = `
  WITH due AS (
    SELECT r.deployment_id FROM commit_status_report r JOIN (${NEWEST}) n ON n.id = r.deployment_id
     WHERE r.reported IS DISTINCT FROM r.wanted AND r.next_at <= now() AND r.attempts < ${MAX_ATTEMPTS}
     ORDER BY r.next_at LIMIT ${AT_ONCE} FOR NO KEY UPDATE OF r SKIP LOCKED
  ), claimed AS (
    UPDATE commit_status_report r
       SET attempts = attempts + 1, next_at = now() + interval '${CLAIM_SECONDS} seconds'
      FROM due WHERE r.deployment_id = due.deployment_id
    RETURNING r.deployment_id, r.wanted, r.attempts)
  SELECT n.id, c.wanted AS state, c.attempts, n.status, n.commit_sha AS sha, n.app_id AS "appId", n.app_name AS "appName",
         s.name AS stage, n.forge, n.api_url AS "apiUrl", n.repository, n.token_encrypted AS "tokenEncrypted"
    FROM claimed c JOIN (${NEWEST}) n ON n.id = c.deployment_id JOIN stage s ON s.id = n.stage_id`

interface Due {
  readonly id: string
  readonly state: CommitState
  readonly attempts: number
  readonly status: DeploymentStatus
  readonly sha: string
  readonly appId: string
  readonly appName: string
  readonly stage: string
  readonly forge: Forge
  readonly apiUrl: string
  readonly repository: string
  readonly tokenEncrypted: string
}

type Dependencies = Pick<Services, 'database' | 'wakeups' | 'secrets' | 'logger' | 'settings'> & {
  readonly forges: ForgeClient
}

/**
 * Tells the forges of apps that have a token how their commits are deployed, after each change. Every worker does it;
 * a row of the database is told by one at a time and survives its death. Nothing here changes a deployment.
 */
export class CommitStatuses implements AsyncDisposable {
  readonly #task: PeriodicTask
  readonly #stopping = new AbortController()

  constructor(
    private readonly services: Dependencies,
    everyMs = EVERY_MS,
  ) {
    this.#task = new PeriodicTask({ title: 'commit statuses', everyMs, run: () => this.#runOnce() }, services)
  }

  start(): void {
    this.#task.start('deployment')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#task[Symbol.asyncDispose]()
  }

  async #runOnce(): Promise<void> {
    await this.services.database.query(WANT)
    const due = await this.services.database.query<Due[]>(CLAIM)
    await Promise.all(due.map((one) => this.#report(one)))
  }

  async #report(due: Due): Promise<void> {
    try {
      await this.#post(due)
      await this.services.database.query(
        'UPDATE commit_status_report SET reported = $2, error = NULL, next_at = now() WHERE deployment_id = $1',
        [due.id, due.state],
      )
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      if (!(error instanceof ForgeError)) throw error
      await this.#giveUpOrRetry(due, error)
    }
  }

  async #giveUpOrRetry({ id, attempts, appName, state }: Due, error: ForgeError): Promise<void> {
    const isOver = error.isFinal || attempts >= MAX_ATTEMPTS
    const wait = RETRY_SECONDS[Math.min(attempts, RETRY_SECONDS.length) - 1] ?? 0
    await this.services.database.query(
      `UPDATE commit_status_report SET error = $2, attempts = CASE WHEN $3 THEN ${MAX_ATTEMPTS} ELSE attempts END,
              next_at = now() + make_interval(secs => $4) WHERE deployment_id = $1 AND wanted = $5`,
      [id, error.message, isOver, wait, state],
    )
    if (isOver)
      this.services.logger.warn('could not report a commit status', {
        app: appName,
        deployment: id,
        error: error.message,
      })
  }

  async #post(due: Due): Promise<void> {
    const status = {
      sha: due.sha,
      state: due.state,
      context: `longshore/${due.appName}/${due.stage}`,
      description: DESCRIPTIONS[due.status],
      targetUrl: stageUrl(due.appName, due.stage, this.services.settings),
    }
    const target = { ...due, token: this.#tokenOf(due) }
    await postStatus(this.services.forges, { target, status }, { signal: this.#stopping.signal })
  }

  #tokenOf({ appId, tokenEncrypted }: Due): string {
    try {
      return this.services.secrets.decrypt(tokenEncrypted, statusTokenAad(appId))
    } catch (error) {
      if (!(error instanceof DecryptError)) throw error
      throw new ForgeError('the token was encrypted with a different MASTER_KEY: set it again', true)
    }
  }
}

const DESCRIPTIONS: Readonly<Record<DeploymentStatus, string>> = {
  PENDING: 'Waiting to be deployed',
  CLONING: 'Deploying',
  BUILDING: 'Building',
  STARTING: 'Starting',
  ROUTING: 'Starting',
  RUNNING: 'Serving',
  RETIRED: 'Served; replaced or stopped',
  FAILED: 'Deployment failed',
  CANCELLED: 'Cancelled',
  SUPERSEDED: 'Superseded by a newer deployment',
  ROLLED_BACK: 'Failed after it was deployed; the previous version serves',
}
