import type { Deployment } from '../../entities/deployment.js'
import { withTimeout } from '../docker/calls.js'
import { cleanLines } from '../logs/lines.js'
import type { Queryable } from '../sql/queryable.js'
import { Redactor } from '../logs/redactor.js'
import type { SecretBox } from '../secrets/secrets.js'
import type { Services } from '../services.js'
import { openConfiguration } from '../secrets/variables.js'

/** Why a version that serves fails. */
export interface Failure {
  readonly code: 'EXITED' | 'OUT_OF_MEMORY' | 'UNHEALTHY' | 'ROUTER_UNREACHABLE'
  readonly why: string
  /** Which of its containers shows it; null: the fault is not in a container. */
  readonly container: string | null
  /** Null: the container has not ended, or nobody knows any more. */
  readonly exitCode: number | null
}

const LAST_LINES = 100
/** The lines are read while the version before is being started. */
const LINES_MS = 5_000

/**
 * What the container that failed wrote last: at most 100 lines, secrets masked. Null when it cannot be read within 5 s;
 * empty when it wrote nothing, or when it is not known what has to be masked. Never rejects.
 */
export async function readLastLines(
  { container }: Failure,
  failed: Deployment,
  { docker, secrets }: Pick<Services, 'docker' | 'secrets'>,
): Promise<string[] | null> {
  const redactor = redactorFor(failed, secrets)
  if (container === null || redactor === null) return []
  const lines = await soon(docker.lastLines(container, LAST_LINES), LINES_MS, null)
  return lines && cleanLines(lines, (text) => redactor.mask(text))
}

/** Gives a deployment that was rolled back without last lines those that were read since; false: it has some, or none came. */
export async function addLastLines(
  { id, epoch }: Deployment,
  lines: readonly string[],
  database: Queryable,
): Promise<boolean> {
  if (lines.length === 0) return false
  const rows = await database.query<unknown[]>(
    `WITH told AS (UPDATE deployment SET error_last_lines = $3
        WHERE id = $1 AND epoch = $2 AND status = 'ROLLED_BACK' AND error_last_lines = '{}' RETURNING id)
     SELECT id FROM told`,
    [id, epoch, lines],
  )
  return rows.length > 0
}

function redactorFor({ stageId, configuration }: Deployment, secrets: SecretBox): Redactor | null {
  if (configuration === null) return null
  try {
    const { variables, buildSecrets } = openConfiguration(secrets, stageId, configuration)
    return new Redactor([...variables.values(), ...buildSecrets.values()])
  } catch {
    return null
  }
}

function soon<T, Otherwise>(work: Promise<T>, ms: number, otherwise: Otherwise): Promise<T | Otherwise> {
  return withTimeout<T | Otherwise>(() => work, ms).catch(() => otherwise)
}
