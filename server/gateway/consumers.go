package gateway

import (
	"context"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
)

// ListConsumers implements the RPC.
func (g *Gateway) ListConsumers(ctx context.Context, req *gatewayv1.ListConsumersRequest) (*gatewayv1.ListConsumersResponse, error) {
	p, err := g.list(ctx, about(consumers, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.Consumer](p)
	return &gatewayv1.ListConsumersResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateConsumer implements the RPC.
func (g *Gateway) CreateConsumer(ctx context.Context, req *gatewayv1.CreateConsumerRequest) (*gatewayv1.Consumer, error) {
	return show[gatewayv1.Consumer](g.create(ctx, "CreateConsumer", about(consumers, req)))
}

// GetConsumer implements the RPC.
func (g *Gateway) GetConsumer(ctx context.Context, req *gatewayv1.GetConsumerRequest) (*gatewayv1.Consumer, error) {
	return show[gatewayv1.Consumer](g.get(ctx, about(consumers, req)))
}

// UpsertConsumer implements the RPC.
func (g *Gateway) UpsertConsumer(ctx context.Context, req *gatewayv1.UpsertConsumerRequest) (*gatewayv1.Consumer, error) {
	return show[gatewayv1.Consumer](g.upsert(ctx, "UpsertConsumer", about(consumers, req)))
}

// UpdateConsumer implements the RPC.
func (g *Gateway) UpdateConsumer(ctx context.Context, req *gatewayv1.UpdateConsumerRequest) (*gatewayv1.Consumer, error) {
	return show[gatewayv1.Consumer](g.update(ctx, "UpdateConsumer", about(consumers, req)))
}

// DeleteConsumer implements the RPC.
func (g *Gateway) DeleteConsumer(ctx context.Context, req *gatewayv1.DeleteConsumerRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteConsumer", about(consumers, req))
}

// ListKeyAuths implements the RPC.
func (g *Gateway) ListKeyAuths(ctx context.Context, req *gatewayv1.ListKeyAuthsRequest) (*gatewayv1.ListKeyAuthsResponse, error) {
	p, err := g.list(ctx, about(keyAuths, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.KeyAuth](p)
	return &gatewayv1.ListKeyAuthsResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateKeyAuth implements the RPC.
func (g *Gateway) CreateKeyAuth(ctx context.Context, req *gatewayv1.CreateKeyAuthRequest) (*gatewayv1.KeyAuth, error) {
	return show[gatewayv1.KeyAuth](g.create(ctx, "CreateKeyAuth", about(keyAuths, req)))
}

// GetKeyAuth implements the RPC.
func (g *Gateway) GetKeyAuth(ctx context.Context, req *gatewayv1.GetKeyAuthRequest) (*gatewayv1.KeyAuth, error) {
	return show[gatewayv1.KeyAuth](g.get(ctx, about(keyAuths, req)))
}

// UpsertKeyAuth implements the RPC.
func (g *Gateway) UpsertKeyAuth(ctx context.Context, req *gatewayv1.UpsertKeyAuthRequest) (*gatewayv1.KeyAuth, error) {
	return show[gatewayv1.KeyAuth](g.upsert(ctx, "UpsertKeyAuth", about(keyAuths, req)))
}

// UpdateKeyAuth implements the RPC.
func (g *Gateway) UpdateKeyAuth(ctx context.Context, req *gatewayv1.UpdateKeyAuthRequest) (*gatewayv1.KeyAuth, error) {
	return show[gatewayv1.KeyAuth](g.update(ctx, "UpdateKeyAuth", about(keyAuths, req)))
}

// DeleteKeyAuth implements the RPC.
func (g *Gateway) DeleteKeyAuth(ctx context.Context, req *gatewayv1.DeleteKeyAuthRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteKeyAuth", about(keyAuths, req))
}

// ListBasicAuths implements the RPC.
func (g *Gateway) ListBasicAuths(ctx context.Context, req *gatewayv1.ListBasicAuthsRequest) (*gatewayv1.ListBasicAuthsResponse, error) {
	p, err := g.list(ctx, about(basicAuths, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.BasicAuth](p)
	return &gatewayv1.ListBasicAuthsResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateBasicAuth implements the RPC.
func (g *Gateway) CreateBasicAuth(ctx context.Context, req *gatewayv1.CreateBasicAuthRequest) (*gatewayv1.BasicAuth, error) {
	return show[gatewayv1.BasicAuth](g.create(ctx, "CreateBasicAuth", about(basicAuths, req)))
}

// GetBasicAuth implements the RPC.
func (g *Gateway) GetBasicAuth(ctx context.Context, req *gatewayv1.GetBasicAuthRequest) (*gatewayv1.BasicAuth, error) {
	return show[gatewayv1.BasicAuth](g.get(ctx, about(basicAuths, req)))
}

// UpsertBasicAuth implements the RPC.
func (g *Gateway) UpsertBasicAuth(ctx context.Context, req *gatewayv1.UpsertBasicAuthRequest) (*gatewayv1.BasicAuth, error) {
	return show[gatewayv1.BasicAuth](g.upsert(ctx, "UpsertBasicAuth", about(basicAuths, req)))
}

// UpdateBasicAuth implements the RPC.
func (g *Gateway) UpdateBasicAuth(ctx context.Context, req *gatewayv1.UpdateBasicAuthRequest) (*gatewayv1.BasicAuth, error) {
	return show[gatewayv1.BasicAuth](g.update(ctx, "UpdateBasicAuth", about(basicAuths, req)))
}

// DeleteBasicAuth implements the RPC.
func (g *Gateway) DeleteBasicAuth(ctx context.Context, req *gatewayv1.DeleteBasicAuthRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteBasicAuth", about(basicAuths, req))
}

// ListJwts implements the RPC.
func (g *Gateway) ListJwts(ctx context.Context, req *gatewayv1.ListJwtsRequest) (*gatewayv1.ListJwtsResponse, error) {
	p, err := g.list(ctx, about(jwts, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.Jwt](p)
	return &gatewayv1.ListJwtsResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateJwt implements the RPC.
func (g *Gateway) CreateJwt(ctx context.Context, req *gatewayv1.CreateJwtRequest) (*gatewayv1.Jwt, error) {
	return show[gatewayv1.Jwt](g.create(ctx, "CreateJwt", about(jwts, req)))
}

// GetJwt implements the RPC.
func (g *Gateway) GetJwt(ctx context.Context, req *gatewayv1.GetJwtRequest) (*gatewayv1.Jwt, error) {
	return show[gatewayv1.Jwt](g.get(ctx, about(jwts, req)))
}

// UpsertJwt implements the RPC.
func (g *Gateway) UpsertJwt(ctx context.Context, req *gatewayv1.UpsertJwtRequest) (*gatewayv1.Jwt, error) {
	return show[gatewayv1.Jwt](g.upsert(ctx, "UpsertJwt", about(jwts, req)))
}

// UpdateJwt implements the RPC.
func (g *Gateway) UpdateJwt(ctx context.Context, req *gatewayv1.UpdateJwtRequest) (*gatewayv1.Jwt, error) {
	return show[gatewayv1.Jwt](g.update(ctx, "UpdateJwt", about(jwts, req)))
}

// DeleteJwt implements the RPC.
func (g *Gateway) DeleteJwt(ctx context.Context, req *gatewayv1.DeleteJwtRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteJwt", about(jwts, req))
}

// ListACLs implements the RPC.
func (g *Gateway) ListACLs(ctx context.Context, req *gatewayv1.ListACLsRequest) (*gatewayv1.ListACLsResponse, error) {
	p, err := g.list(ctx, about(acls, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.ACL](p)
	return &gatewayv1.ListACLsResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateACL implements the RPC.
func (g *Gateway) CreateACL(ctx context.Context, req *gatewayv1.CreateACLRequest) (*gatewayv1.ACL, error) {
	return show[gatewayv1.ACL](g.create(ctx, "CreateACL", about(acls, req)))
}

// GetACL implements the RPC.
func (g *Gateway) GetACL(ctx context.Context, req *gatewayv1.GetACLRequest) (*gatewayv1.ACL, error) {
	return show[gatewayv1.ACL](g.get(ctx, about(acls, req)))
}

// UpsertACL implements the RPC.
func (g *Gateway) UpsertACL(ctx context.Context, req *gatewayv1.UpsertACLRequest) (*gatewayv1.ACL, error) {
	return show[gatewayv1.ACL](g.upsert(ctx, "UpsertACL", about(acls, req)))
}

// UpdateACL implements the RPC.
func (g *Gateway) UpdateACL(ctx context.Context, req *gatewayv1.UpdateACLRequest) (*gatewayv1.ACL, error) {
	return show[gatewayv1.ACL](g.update(ctx, "UpdateACL", about(acls, req)))
}

// DeleteACL implements the RPC.
func (g *Gateway) DeleteACL(ctx context.Context, req *gatewayv1.DeleteACLRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteACL", about(acls, req))
}
