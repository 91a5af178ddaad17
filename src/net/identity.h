/* The names that the parties of a deployment go by in their certificates, and the server name that
 * means the deployment's own authority. */
#ifndef NET_IDENTITY_H
#define NET_IDENTITY_H

#define IDENTITY_COORDINATOR "excamera:coordinator"
#define IDENTITY_RENDEZVOUS "excamera:rendezvous"
#define IDENTITY_SUBMITTER "excamera:submitter"

#define DOMAIN_DEPLOYMENT "deployment.excamera.invalid"

#endif
