package auth

import gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"

// gatewayAccess is of the HTTP gateway, which belongs to no project. Who may
// not change it is not shown the secrets in it.
func gatewayAccess() map[string]Rule {
	return map[string]Rule{
		gatewayv1.GatewayService_ListServices_FullMethodName:        observe,
		gatewayv1.GatewayService_GetService_FullMethodName:          observe,
		gatewayv1.GatewayService_CreateService_FullMethodName:       rule,
		gatewayv1.GatewayService_UpsertService_FullMethodName:       rule,
		gatewayv1.GatewayService_UpdateService_FullMethodName:       rule,
		gatewayv1.GatewayService_DeleteService_FullMethodName:       rule,
		gatewayv1.GatewayService_ListRoutes_FullMethodName:          observe,
		gatewayv1.GatewayService_GetRoute_FullMethodName:            observe,
		gatewayv1.GatewayService_CreateRoute_FullMethodName:         rule,
		gatewayv1.GatewayService_UpsertRoute_FullMethodName:         rule,
		gatewayv1.GatewayService_UpdateRoute_FullMethodName:         rule,
		gatewayv1.GatewayService_DeleteRoute_FullMethodName:         rule,
		gatewayv1.GatewayService_ListUpstreams_FullMethodName:       observe,
		gatewayv1.GatewayService_GetUpstream_FullMethodName:         observe,
		gatewayv1.GatewayService_CreateUpstream_FullMethodName:      rule,
		gatewayv1.GatewayService_UpsertUpstream_FullMethodName:      rule,
		gatewayv1.GatewayService_UpdateUpstream_FullMethodName:      rule,
		gatewayv1.GatewayService_DeleteUpstream_FullMethodName:      rule,
		gatewayv1.GatewayService_ListTargets_FullMethodName:         observe,
		gatewayv1.GatewayService_GetTarget_FullMethodName:           observe,
		gatewayv1.GatewayService_CreateTarget_FullMethodName:        rule,
		gatewayv1.GatewayService_UpsertTarget_FullMethodName:        rule,
		gatewayv1.GatewayService_UpdateTarget_FullMethodName:        rule,
		gatewayv1.GatewayService_DeleteTarget_FullMethodName:        rule,
		gatewayv1.GatewayService_ListCertificates_FullMethodName:    observe,
		gatewayv1.GatewayService_GetCertificate_FullMethodName:      observe,
		gatewayv1.GatewayService_CreateCertificate_FullMethodName:   rule,
		gatewayv1.GatewayService_UpsertCertificate_FullMethodName:   rule,
		gatewayv1.GatewayService_UpdateCertificate_FullMethodName:   rule,
		gatewayv1.GatewayService_DeleteCertificate_FullMethodName:   rule,
		gatewayv1.GatewayService_ListCaCertificates_FullMethodName:  observe,
		gatewayv1.GatewayService_GetCaCertificate_FullMethodName:    observe,
		gatewayv1.GatewayService_CreateCaCertificate_FullMethodName: rule,
		gatewayv1.GatewayService_UpsertCaCertificate_FullMethodName: rule,
		gatewayv1.GatewayService_UpdateCaCertificate_FullMethodName: rule,
		gatewayv1.GatewayService_DeleteCaCertificate_FullMethodName: rule,
		gatewayv1.GatewayService_ListSnis_FullMethodName:            observe,
		gatewayv1.GatewayService_GetSni_FullMethodName:              observe,
		gatewayv1.GatewayService_CreateSni_FullMethodName:           rule,
		gatewayv1.GatewayService_UpsertSni_FullMethodName:           rule,
		gatewayv1.GatewayService_UpdateSni_FullMethodName:           rule,
		gatewayv1.GatewayService_DeleteSni_FullMethodName:           rule,
		gatewayv1.GatewayService_ListPlugins_FullMethodName:         observe,
		gatewayv1.GatewayService_GetPlugin_FullMethodName:           observe,
		gatewayv1.GatewayService_CreatePlugin_FullMethodName:        rule,
		gatewayv1.GatewayService_UpsertPlugin_FullMethodName:        rule,
		gatewayv1.GatewayService_UpdatePlugin_FullMethodName:        rule,
		gatewayv1.GatewayService_DeletePlugin_FullMethodName:        rule,
		gatewayv1.GatewayService_RegisterService_FullMethodName:     rule,
		gatewayv1.GatewayService_UpdateRegistration_FullMethodName:  rule,
		gatewayv1.GatewayService_UnregisterService_FullMethodName:   rule,
		gatewayv1.GatewayService_RefreshServices_FullMethodName:     rule,
		gatewayv1.GatewayService_ListRegistrations_FullMethodName:   observe,
		gatewayv1.GatewayService_GetRegistration_FullMethodName:     observe,
		gatewayv1.GatewayService_ListServiceChanges_FullMethodName:  observe,
	}
}

// consumerAccess is of who makes requests through the HTTP gateway.
func consumerAccess() map[string]Rule {
	return map[string]Rule{
		gatewayv1.ConsumerService_ListConsumers_FullMethodName:   observe,
		gatewayv1.ConsumerService_GetConsumer_FullMethodName:     observe,
		gatewayv1.ConsumerService_CreateConsumer_FullMethodName:  rule,
		gatewayv1.ConsumerService_UpsertConsumer_FullMethodName:  rule,
		gatewayv1.ConsumerService_UpdateConsumer_FullMethodName:  rule,
		gatewayv1.ConsumerService_DeleteConsumer_FullMethodName:  rule,
		gatewayv1.ConsumerService_ListKeyAuths_FullMethodName:    observe,
		gatewayv1.ConsumerService_GetKeyAuth_FullMethodName:      observe,
		gatewayv1.ConsumerService_CreateKeyAuth_FullMethodName:   rule,
		gatewayv1.ConsumerService_UpsertKeyAuth_FullMethodName:   rule,
		gatewayv1.ConsumerService_UpdateKeyAuth_FullMethodName:   rule,
		gatewayv1.ConsumerService_DeleteKeyAuth_FullMethodName:   rule,
		gatewayv1.ConsumerService_ListBasicAuths_FullMethodName:  observe,
		gatewayv1.ConsumerService_GetBasicAuth_FullMethodName:    observe,
		gatewayv1.ConsumerService_CreateBasicAuth_FullMethodName: rule,
		gatewayv1.ConsumerService_UpsertBasicAuth_FullMethodName: rule,
		gatewayv1.ConsumerService_UpdateBasicAuth_FullMethodName: rule,
		gatewayv1.ConsumerService_DeleteBasicAuth_FullMethodName: rule,
		gatewayv1.ConsumerService_ListJwts_FullMethodName:        observe,
		gatewayv1.ConsumerService_GetJwt_FullMethodName:          observe,
		gatewayv1.ConsumerService_CreateJwt_FullMethodName:       rule,
		gatewayv1.ConsumerService_UpsertJwt_FullMethodName:       rule,
		gatewayv1.ConsumerService_UpdateJwt_FullMethodName:       rule,
		gatewayv1.ConsumerService_DeleteJwt_FullMethodName:       rule,
		gatewayv1.ConsumerService_ListACLs_FullMethodName:        observe,
		gatewayv1.ConsumerService_GetACL_FullMethodName:          observe,
		gatewayv1.ConsumerService_CreateACL_FullMethodName:       rule,
		gatewayv1.ConsumerService_UpsertACL_FullMethodName:       rule,
		gatewayv1.ConsumerService_UpdateACL_FullMethodName:       rule,
		gatewayv1.ConsumerService_DeleteACL_FullMethodName:       rule,
	}
}

// nodeAccess is of the HTTP gateway itself. What is cached is answers to others.
func nodeAccess() map[string]Rule {
	return map[string]Rule{
		gatewayv1.NodeService_GetNode_FullMethodName:               observe,
		gatewayv1.NodeService_GetStatus_FullMethodName:             observe,
		gatewayv1.NodeService_ListTags_FullMethodName:              observe,
		gatewayv1.NodeService_ListEnabledPlugins_FullMethodName:    observe,
		gatewayv1.NodeService_ListEndpoints_FullMethodName:         observe,
		gatewayv1.NodeService_GetSchema_FullMethodName:             observe,
		gatewayv1.NodeService_GetPluginSchema_FullMethodName:       observe,
		gatewayv1.NodeService_GetPluginConfigSchema_FullMethodName: observe,
		gatewayv1.NodeService_ValidateEntity_FullMethodName:        observe,
		gatewayv1.NodeService_ListAllTargets_FullMethodName:        observe,
		gatewayv1.NodeService_GetUpstreamHealth_FullMethodName:     observe,
		gatewayv1.NodeService_GetBalancerHealth_FullMethodName:     observe,
		gatewayv1.NodeService_SetTargetHealthy_FullMethodName:      rule,
		gatewayv1.NodeService_SetTargetUnhealthy_FullMethodName:    rule,
		gatewayv1.NodeService_PurgeCaches_FullMethodName:           rule,
		gatewayv1.NodeService_GetCacheEntry_FullMethodName:         rule,
		gatewayv1.NodeService_DeleteCacheEntry_FullMethodName:      rule,
	}
}

// declarationAccess is of the HTTP gateway as one document, which has secrets.
func declarationAccess() map[string]Rule {
	return map[string]Rule{
		gatewayv1.DeclarationService_ApplyDeclaration_FullMethodName: rule,
		gatewayv1.DeclarationService_DumpDeclaration_FullMethodName:  rule,
	}
}
