import { Forge } from '../../entities/webhook-delivery.js'
import {
  type ForgeAnswer,
  type ForgeCallOptions,
  type ForgeClient,
  ForgeError,
  type ForgeRequest,
} from '../forges/forge-client.js'

/** How a deployment stands, as forges know it. */
export type CommitState = 'pending' | 'success' | 'failure' | 'ended'

export interface StatusTarget {
  readonly forge: Forge
  /** Without a slash at the end. */
  readonly apiUrl: string
  /** owner/name */
  readonly repository: string
  readonly token: string
}

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
  { target, status }: { readonly target: StatusTarget; readonly status: CommitStatus },
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

function requestOf({ forge, apiUrl, repository, token }: StatusTarget, status: CommitStatus): ForgeRequest {
  const { sha, state, context, description, targetUrl: target_url } = status
  if (forge === Forge.GITLAB) {
    return {
      method: 'POST',
      url: `${apiUrl}/projects/${encodeURIComponent(repository)}/statuses/${sha}`,
      headers: { 'private-token': token },
      body: { state: GITLAB_STATES[state], name: context, description, target_url },
    }
  }
  const accept = forge === Forge.GITHUB ? 'application/vnd.github+json' : 'application/json'
  return {
    method: 'POST',
    url: `${apiUrl}/repos/${repository}/statuses/${sha}`,
    headers: { authorization: `${forge === Forge.GITHUB ? 'Bearer' : 'token'} ${token}`, accept },
    body: { state: state === 'ended' ? 'error' : state, context, description, target_url },
  }
}
