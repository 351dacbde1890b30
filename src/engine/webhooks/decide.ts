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
  /** Why it does not; empty where it does. */
  readonly reason: string
}

const SKIP = /\[(?:skip[ -](?:ci|deploy|actions)|(?:ci|deploy|actions)[ -]skip|no[ -](?:ci|deploy))\]/i

/** Which stages deploy a push, and why the others do not. */
export function decide(
  push: Push,
  stages: readonly StageRules[],
  watchPaths: readonly string[],
): readonly Choice[] {
  return stages.map((stage) => {
    const reason = refusal(push, stage, watchPaths)
    return { stageId: stage.id, stage: stage.name, deploys: reason === null, reason: reason ?? '' }
  })
}

function refusal(push: Push, stage: StageRules, watchPaths: readonly string[]): string | null {
  const follows = push.kind === 'branch' ? branchRefusal(push, stage) : tagRefusal(push, stage)
  if (follows !== null) return follows
  if (push.sha === null) return `the ${push.kind} was deleted`
  if (push.sha === push.before) return 'nothing was pushed: the forge tried the webhook'
  if (!stage.autoDeploy) return 'it does not deploy by itself (autoDeploy is false)'
  if (stage.stopped) return 'the stage is stopped'
  return push.kind === 'branch' ? contentRefusal(push, watchPaths) : null
}

function branchRefusal({ name, defaultBranch }: Push, { branch, tags }: StageRules): string | null {
  if (tags !== null) return `it follows tags ${tags}`
  const wanted = branch ?? defaultBranch
  if (wanted === null) {
    return "the forge does not say which branch is the repository's default: set the branch of the app or the stage"
  }
  return wanted === name ? null : `it follows the branch ${wanted.slice(0, 200)}`
}

function tagRefusal({ name }: Push, { tags }: StageRules): string | null {
  if (tags === null) return 'it follows a branch, and a tag was pushed'
  return matches(tags, name) ? null : `it follows tags ${tags}`
}

/** A tag is set on purpose: its commit may be one that asked for no deployment when it came to its branch. */
function contentRefusal({ message, changedPaths }: Push, watchPaths: readonly string[]): string | null {
  const marker = message === null ? null : SKIP.exec(message)
  if (marker) return `its commit says ${marker[0]}`
  if (watchPaths.length === 0 || changedPaths === null || watchesAny(watchPaths, changedPaths)) return null
  return 'it changes nothing below the watched paths'
}
