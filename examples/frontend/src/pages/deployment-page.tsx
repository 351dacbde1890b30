import { useMutation, useQuery } from '@apollo/client/react'
import { Link } from 'wouter'
import { messageOf } from '../longshore/form-errors.js'
import type { DeploymentSummaryFragment } from '../longshore/gql/graphql.js'
import { CANCEL_DEPLOYMENT, DEPLOYMENT } from '../longshore/operations.js'
import { NoAnswer, Problem } from '../parts/answer.js'
import { Commit } from '../parts/commit.js'
import { LogView } from '../parts/log-view.js'
import { Page } from '../parts/page.js'
import { Status } from '../parts/status.js'
import { Time } from '../parts/time.js'

export function DeploymentPage({ id }: { id: string }) {
  const { data, error } = useQuery(DEPLOYMENT, { variables: { id } })
  const deployment = data?.deployment
  if (!data)
    return (
      <Page title="Deployment">
        <NoAnswer error={error} />
      </Page>
    )
  if (!deployment) {
    return (
      <Page title="Deployment">
        <p className="empty">This deployment does not exist any more.</p>
      </Page>
    )
  }
  const { app, stage } = deployment
  return (
    <Page title={`${app.name} · ${id}`} actions={deployment.canCancel && <CancelButton id={id} />}>
      <dl className="facts">
        <dt>App</dt>
        <dd>
          <Link href={`/apps/${app.id}`}>{app.name}</Link>, {stage.name}
        </dd>
        <dt>Status</dt>
        <dd>
          <Status status={deployment.status} /> <Waiting deployment={deployment} />
        </dd>
        <dt>Commit</dt>
        <dd>
          <Commit deployment={deployment} />
        </dd>
        <dt>Requested</dt>
        <dd>
          <Time at={deployment.createdAt} />
        </dd>
        {deployment.ownUrl !== null && (
          <>
            <dt>URL</dt>
            <dd>
              <a href={deployment.ownUrl}>{deployment.ownUrl}</a>
            </dd>
          </>
        )}
      </dl>
      {deployment.error && <Problem>{deployment.error.message}</Problem>}
      <h2>Log</h2>
      <LogView deploymentId={id} />
    </Page>
  )
}

function Waiting({ deployment: { queuePosition } }: { deployment: DeploymentSummaryFragment }) {
  return queuePosition === null ? null : <span className="muted">number {queuePosition} in the queue</span>
}

function CancelButton({ id }: { id: string }) {
  const [cancel, { loading, error }] = useMutation(CANCEL_DEPLOYMENT, { variables: { id } })
  return (
    <>
      {error && <Problem>{messageOf(error)}</Problem>}
      <button
        type="button"
        className="danger"
        disabled={loading}
        onClick={() => void cancel().catch(() => undefined)}
      >
        Cancel
      </button>
    </>
  )
}
