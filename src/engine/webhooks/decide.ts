import { StepBudget } from '../paths/step-budget.js'
import { StepBudgetError } from '../paths/path-matcher.js'
import { oneLine } from '../quoted-text.js'
import { matches, watchesAny } from './globs.js'
import type { Push } from './push.js'

/** What a stage takes of a push. */
export interface StageRules {
  readonly id: string
  readonly name: string
  /** The stage's branch, else its app's. Null: the repository's default branch. */
  readonly branch: string | null
  /** A glob: it follows tags that match, and no branch. */
  readonly tags: string | null
  readonly autoDeploy: boolean
  readonly stopped: boolean
  readonly stopOnBranchDeletion: boolean
}

export interface Choice {
  readonly stageId: string
  readonly stage: string
  /** It follows what was pushed, and deploys pushes. */
  readonly isTaken: boolean
  readonly deploys: boolean
  /** What the push says of its paths is not to be relied on: where something serves, the commits are compared. */
  readonly compares: boolean
  /** Its branch was deleted, and it is to stop then. */
  readonly stops: boolean
  /** Why it does not deploy it, or what else there is to say of it. */
  readonly reason: string
}

type Verdict = Pick<Choice, 'deploys' | 'compares' | 'reason'>

const DEPLOYS: Verdict = { deploys: true, compares: false, reason: '' }
/** What a commit is asked to change for a stage to deploy it. */
export const UNWATCHED = 'it changes nothing under the watched paths'
/** About a second of processor: the paths of a push are of a megabyte at most. */
const MAX_STEPS = 10_000_000

const SKIP = /\[(?:skip[ -](?:ci|deploy|actions)|(?:ci|deploy|actions)[ -]skip|no[ -](?:ci|deploy))\]/i

/** Which stages deploy a push, and why the others do not. Yields to the event loop meanwhile. */
export async function decide(
  push: Push,
  stages: readonly StageRules[],
  watchPaths: readonly string[],
): Promise<readonly Choice[]> {
  // A glob of tags and a tag are short, but of the stages there may be many.
  const budget = new StepBudget(Infinity)
  let content: Verdict | null = null
  const choices: Choice[] = []
  for (const stage of stages) {
    const refused = await refusal(push, stage, budget)
    const verdict = refused === null ? (content ??= await contentVerdict(push, watchPaths)) : no(refused)
    const stops = refused === DELETED && stage.stopOnBranchDeletion && !stage.stopped
    const reason = stops ? `${DELETED}: the stage stops` : verdict.reason
    choices.push({
      stageId: stage.id,
      stage: stage.name,
      isTaken: refused === null,
      stops,
      ...verdict,
      reason,
    })
  }
  return choices
}

/** The reason of a commit whose message asks for no deployment; null: it does not. */
export function skipReason(message: string | null): string | null {
  const marker = message === null ? null : SKIP.exec(message)
  return marker && `its commit message has ${marker[0]}`
}

function no(reason: string): Verdict {
  return { deploys: false, compares: false, reason }
}

const DELETED = 'the branch was deleted'

async function refusal(push: Push, stage: StageRules, budget: StepBudget): Promise<string | null> {
  const follows = push.kind === 'branch' ? branchRefusal(push, stage) : await tagRefusal(push, stage, budget)
  if (follows !== null) return follows
  if (push.sha === null) return push.kind === 'branch' ? DELETED : 'the tag was deleted'
  if (push.sha === push.before) return 'nothing was pushed: the forge tested the webhook'
  if (!stage.autoDeploy) return 'it does not deploy pushes (autoDeploy is false)'
  return stage.stopped ? 'the stage is stopped' : null
}

function branchRefusal({ name, defaultBranch }: Push, { branch, tags }: StageRules): string | null {
  if (tags !== null) return `it follows tags ${tags}`
  const wanted = branch ?? defaultBranch
  if (wanted === null) {
    return "the forge does not name the repository's default branch: set the branch of the app or the stage"
  }
  return wanted === name || wanted === `heads/${name}`
    ? null
    : `it follows the branch ${oneLine(wanted, 200)}`
}

async function tagRefusal({ name }: Push, { tags }: StageRules, budget: StepBudget): Promise<string | null> {
  if (tags === null) return 'it follows a branch, and a tag was pushed'
  return (await matches(tags, name, budget)) ? null : `it follows tags ${tags}`
}

/** A tag is set on purpose: its commit may be one that asked for no deployment when it came to its branch. */
async function contentVerdict(push: Push, watchPaths: readonly string[]): Promise<Verdict> {
  if (push.kind === 'tag') return DEPLOYS
  const skipped = skipReason(push.message)
  if (skipped !== null) return no(skipped)
  if (watchPaths.length === 0) return DEPLOYS
  if (push.changedPaths === null) return { ...DEPLOYS, compares: true }
  try {
    const isWatched = await changesWatched(watchPaths, push.changedPaths)
    return isWatched ? DEPLOYS : { ...no(UNWATCHED), compares: true }
  } catch (error) {
    if (!(error instanceof StepBudgetError)) throw error
    // A deployment too many is seen; one that is missing is not.
    return { ...DEPLOYS, reason: TOO_SLOW }
  }
}

/** What is said where the paths of a commit were made to match slowly. */
export const TOO_SLOW = 'matching its paths against watchPaths takes too long, so watchPaths are ignored'

/** Whether one of the paths is watched. Yields to the event loop meanwhile. @throws StepBudgetError */
export function changesWatched(watchPaths: readonly string[], paths: readonly string[]): Promise<boolean> {
  return watchesAny(watchPaths, paths, new StepBudget(MAX_STEPS))
}
