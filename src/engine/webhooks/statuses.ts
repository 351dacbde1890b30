import { Forge } from '../../entities/webhook-delivery.js'
import {
  type ForgeAnswer,
  type ForgeCallOptions,
  type ForgeClient,
  ForgeError,
  type ForgeRequest,
} from '../forges/forge-client.js'
import { type ForgeTarget, headersFor, repositoryUrl } from '../forges/forge-target.js'

/** How a deployment stands, as forges know it. */
export type CommitState = 'pending' | 'success' | 'failure' | 'ended'

export interface CommitStatus {
  readonly sha: string
  readonly state: CommitState
  /** Names the status: a later one of the same name replaces it. */
  readonly context: string
  readonly description: string
  readonly targetUrl: string
}

const GITLAB_STATES = {
  pending: 'pending',
  success: 'success',
  failure: 'failed',
  ended: 'canceled',
} as const

/**
 * Tells the forge.
 *
 * @throws ForgeError
 */
export async function postStatus(
  forges: ForgeClient,
  { target, status }: { readonly target: ForgeTarget; readonly status: CommitStatus },
  options: ForgeCallOptions,
): Promise<void> {
  refuse(await forges.call(requestOf(target, status), options))
}

function refuse({ status, text }: ForgeAnswer): void {
  if (status >= 200 && status < 300) return
  // GitLab refuses to be told twice what it knows already.
  if (status === 400 && /cannot transition status/i.test(text)) return
  const isFinal = status < 500 && status !== 429 && status !== 408
  const advice = isFinal ? ': check the token’s rights, apiUrl and repository' : ''
  throw new ForgeError(`the API answered ${status}${advice}`, isFinal)
}

function requestOf(target: ForgeTarget, status: CommitStatus): ForgeRequest {
  const { sha, state, context, description, targetUrl: target_url } = status
  const body =
    target.forge === Forge.GITLAB
      ? { state: GITLAB_STATES[state], name: context, description, target_url }
      : { state: state === 'ended' ? 'error' : state, context, description, target_url }
  return {
    method: 'POST',
    url: `${repositoryUrl(target)}/statuses/${sha}`,
    headers: headersFor(target),
    body,
  }
}
