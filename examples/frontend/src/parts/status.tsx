import type { DeploymentStatus } from '../longshore/gql/graphql.js'

const LOOKS: Readonly<Record<DeploymentStatus, 'busy' | 'good' | 'bad' | 'idle'>> = {
  PENDING: 'busy',
  CLONING: 'busy',
  BUILDING: 'busy',
  STARTING: 'busy',
  ROUTING: 'busy',
  RUNNING: 'good',
  FAILED: 'bad',
  ROLLED_BACK: 'bad',
  RETIRED: 'idle',
  CANCELLED: 'idle',
  SUPERSEDED: 'idle',
}

/** A deployment's status. One of a later API than this page knows has its name, and no colour. */
export function Status({ status }: { status: DeploymentStatus }) {
  const name = status.charAt(0) + status.slice(1).toLowerCase().replaceAll('_', ' ')
  return <span className={`status ${LOOKS[status] ?? 'idle'}`}>{name}</span>
}
