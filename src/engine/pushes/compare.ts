import type { EntityManager } from 'typeorm'
import type { PushComparison } from '../../entities/push-comparison.js'
import type { Git, Remote, Source } from '../git/git.js'
import { createId } from '../names.js'
import { StepBudgetError } from '../paths/path-matcher.js'
import { UNSETTLED } from '../sql/predicates.js'
import { changesWatched, skipReason, TOO_SLOW } from '../webhooks/decide.js'

/** A push, where it is fetched from, and what its app watches. */
export interface ComparisonRequest extends Pick<PushComparison, 'id' | 'stageId' | 'sha' | 'message'> {
  readonly remote: Remote
  readonly watchPaths: readonly string[]
}

export interface Compared {
  readonly deploys: boolean
  /** Why not, or what else there is to say of it. */
  readonly reason: string
  /** The commits that it changes nothing of; null: it was compared with none. */
  readonly with: readonly string[] | null
}

const DEPLOYS: Compared = { deploys: true, reason: '', with: null }

/**
 * Fetches a pushed commit and compares its files with what serves, and with what is about to: what a forge lists ends after
 * some commits, and knows nothing of pushes that were set back, failed or were never delivered.
 *
 * @throws what {@link Git.fetch} throws
 */
export async function compare(
  request: ComparisonRequest,
  { git, manager }: { readonly git: Git; readonly manager: EntityManager },
  signal: AbortSignal,
): Promise<Compared> {
  const { remote, sha } = request
  // The pushed commit is kept while the comparison is there; what it is compared with, until the next sweep.
  const fetch = (ref: string, deploymentId = createId()) =>
    git.fetch({ ...remote, ref, deploymentId, onProgress: () => undefined }, signal)
  const source = await fetch(sha, request.id)
  const skipped = skipReason(request.message ?? (await source.message(signal)))
  if (skipped !== null) return { deploys: false, reason: skipped, with: null }
  if (request.watchPaths.length === 0) return DEPLOYS
  const commits = await commitsOf(manager, request.stageId)
  if (commits === null) return DEPLOYS
  return await compareWith(commits, { ...request, source, fetch }, signal)
}

async function compareWith(
  commits: readonly string[],
  request: ComparisonRequest & {
    readonly source: Source
    readonly fetch: (ref: string) => Promise<unknown>
  },
  signal: AbortSignal,
): Promise<Compared> {
  const { source, sha, watchPaths } = request
  for (const commit of commits) {
    let paths = await source.changedSince(commit, signal)
    if (paths === null) {
      await request.fetch(commit).catch(() => signal.throwIfAborted())
      paths = await source.changedSince(commit, signal)
    }
    if (paths === null) {
      return {
        ...DEPLOYS,
        reason: `it cannot be compared with ${commit}, which the repository does not have any more`,
      }
    }
    try {
      if (await changesWatched(watchPaths, paths)) return DEPLOYS
    } catch (error) {
      if (!(error instanceof StepBudgetError)) throw error
      return { ...DEPLOYS, reason: TOO_SLOW }
    }
  }
  const reason = `nothing under the watched paths changed between ${commits.join(' or ')} and ${sha}`
  return { deploys: false, reason, with: commits }
}

/** Commits of what serves in a stage, and of what is about to. Null: nothing serves, or one is not known yet. */
export async function commitsOf(manager: EntityManager, stageId: string): Promise<readonly string[] | null> {
  const rows = await manager.query<{ sha: string | null; serves: boolean }[]>(
    `SELECT d.commit_sha AS sha, bool_or(d.status = 'RUNNING') AS serves FROM deployment d
      WHERE d.stage_id = $1 AND (d.status IN ${UNSETTLED} OR d.status = 'RUNNING')
      GROUP BY d.commit_sha ORDER BY serves DESC`,
    [stageId],
  )
  const commits = rows.flatMap(({ sha }) => sha ?? [])
  return rows.some(({ serves }) => serves) && commits.length === rows.length ? commits : null
}
