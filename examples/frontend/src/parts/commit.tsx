import type { DeploymentSummaryFragment } from '../longshore/gql/graphql.js'

/** What a deployment runs, as far as it is known: the commit, or what was asked for. */
export function Commit({ deployment }: { deployment: DeploymentSummaryFragment }) {
  const { commitSha, commitMessage, ref } = deployment
  return (
    <span className="commit">
      {commitSha === null ? (ref ?? 'the newest commit') : <code>{commitSha.slice(0, 8)}</code>}
      {commitMessage !== null && <span> {commitMessage}</span>}
    </span>
  )
}
