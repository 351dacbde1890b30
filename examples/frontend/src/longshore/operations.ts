import { graphql } from './gql/gql.js'

/**
 * What every screen shows of a deployment. The change feed selects the same, so that all of them are live. `url` has another
 * name because an app's has another type (it is never null): GraphQL refuses both under one name in the feed.
 */
export const DEPLOYMENT_SUMMARY = graphql(`
  fragment DeploymentSummary on Deployment {
    id
    status
    trigger
    ref
    commitSha
    commitMessage
    createdAt
    finishedAt
    queuePosition
    canCancel
    ownUrl: url
    error {
      code
      message
    }
  }
`)

export const APP_SUMMARY = graphql(`
  fragment AppSummary on App {
    id
    name
    url
    repoUrl
    branch
    latestDeployment {
      ...DeploymentSummary
    }
  }
`)

export const STAGE_SUMMARY = graphql(`
  fragment StageSummary on Stage {
    id
    name
    url
    stopped
    current {
      id
      commitSha
      commitMessage
    }
  }
`)

/** Every node brings the fields that screens show: Apollo Client merges them into its cache by itself. */
export const CHANGES = graphql(`
  subscription Changes($after: String) {
    changes(after: $after) {
      cursor
      event
      id
      typename
      node {
        id
        ... on App {
          ...AppSummary
        }
        ... on Stage {
          ...StageSummary
          app {
            id
          }
        }
        ... on Deployment {
          ...DeploymentSummary
          app {
            id
            latestDeployment {
              ...DeploymentSummary
            }
          }
        }
      }
    }
  }
`)

export const DEPLOYMENT_LOGS = graphql(`
  subscription DeploymentLogs($id: ID!, $after: Int! = 0) {
    deploymentLogs(deploymentId: $id, after: $after) {
      seq
      at
      stream
      text
      end {
        status
        omittedBytes
        clipped
      }
    }
  }
`)

export const SERVER_INFO = graphql(`
  query ServerInfo {
    serverInfo {
      version
      baseDomain
    }
  }
`)

export const APPS = graphql(`
  query Apps($search: String, $after: String) {
    apps(search: $search, after: $after, first: 50) {
      nodes {
        ...AppSummary
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`)

export const APP = graphql(`
  query App($id: ID!, $after: String) {
    app(id: $id) {
      ...AppSummary
      stages {
        ...StageSummary
      }
      deployments(after: $after, first: 20) {
        nodes {
          ...DeploymentSummary
          stage {
            id
            name
          }
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  }
`)

export const DEPLOYMENT = graphql(`
  query Deployment($id: ID!) {
    deployment(id: $id) {
      ...DeploymentSummary
      app {
        id
        name
      }
      stage {
        id
        name
      }
    }
  }
`)

export const CREATE_APP = graphql(`
  mutation CreateApp($input: CreateAppInput!) {
    createApp(input: $input) {
      ...AppSummary
    }
  }
`)

export const DEPLOY = graphql(`
  mutation Deploy($appId: ID!, $input: DeployInput!) {
    deploy(appId: $appId, input: $input) {
      ...DeploymentSummary
    }
  }
`)

export const CANCEL_DEPLOYMENT = graphql(`
  mutation CancelDeployment($id: ID!) {
    cancelDeployment(id: $id) {
      ...DeploymentSummary
    }
  }
`)

export const DELETE_APP = graphql(`
  mutation DeleteApp($id: ID!) {
    deleteApp(id: $id)
  }
`)
