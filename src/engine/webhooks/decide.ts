import { StepBudget } from '../paths/step-budget.js'
import { StepBudgetError } from '../paths/path-matcher.js'
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
}

export interface Choice {
  readonly stageId: string
  readonly stage: string
  readonly deploys: boolean
  /** Why it does not, or what else there is to say of it. */
  readonly reason: string
}

type Verdict = Pick<Choice, 'deploys' | 'reason'>

const DEPLOYS: Verdict = { deploys: true, reason: '' }
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
    choices.push({ stageId: stage.id, stage: stage.name, ...verdict })
  }
  return choices
}

function no(reason: string): Verdict {
  return { deploys: false, reason }
}

async function refusal(push: Push, stage: StageRules, budget: StepBudget): Promise<string | null> {
  const follows = push.kind === 'branch' ? branchRefusal(push, stage) : await tagRefusal(push, stage, budget)
  if (follows !== null) return follows
  if (push.sha === null) return `the ${push.kind} was deleted`
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
  return wanted === name ? null : `it follows the branch ${wanted.slice(0, 200)}`
}

async function tagRefusal({ name }: Push, { tags }: StageRules, budget: StepBudget): Promise<string | null> {
  if (tags === null) return 'it follows a branch, and a tag was pushed'
  return (await matches(tags, name, budget)) ? null : `it follows tags ${tags}`
}

/** A tag is set on purpose: its commit may be one that asked for no deployment when it came to its branch. */
async function contentVerdict(push: Push, watchPaths: readonly string[]): Promise<Verdict> {
  if (push.kind === 'tag') return DEPLOYS
  const marker = push.message === null ? null : SKIP.exec(push.message)
  if (marker) return no(`its commit message has ${marker[0]}`)
  if (watchPaths.length === 0 || push.changedPaths === null) return DEPLOYS
  try {
    const isWatched = await watchesAny(watchPaths, push.changedPaths, new StepBudget(MAX_STEPS))
    return isWatched ? DEPLOYS : no('it changes nothing under the watched paths')
  } catch (error) {
    if (!(error instanceof StepBudgetError)) throw error
    // A deployment too many is seen; one that is missing is not.
    return {
      deploys: true,
      reason: 'matching its paths against watchPaths takes too long, so watchPaths are ignored',
    }
  }
}
