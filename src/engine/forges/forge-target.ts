import { Forge } from '../../entities/webhook-delivery.js'

/** A repository at a forge, and the token to speak of it. */
export interface ForgeTarget {
  readonly forge: Forge
  /** Without a slash at the end. */
  readonly apiUrl: string
  /** owner/name */
  readonly repository: string
  readonly token: string
}

/** Where the API has what belongs to a repository; without a slash at the end. */
export function repositoryUrl({ forge, apiUrl, repository }: ForgeTarget): string {
  if (forge === Forge.GITLAB) return `${apiUrl}/projects/${encodeURIComponent(repository)}`
  return `${apiUrl}/repos/${repository}`
}

export function headersFor({ forge, token }: ForgeTarget): Record<string, string> {
  if (forge === Forge.GITLAB) return { 'private-token': token }
  if (forge === Forge.GITEA) return { authorization: `token ${token}`, accept: 'application/json' }
  return { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json' }
}
