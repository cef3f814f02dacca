//go:build wasip1

// Package export_sandmill_plugin_handler is what the bindings call; package sandmill sets it.
package export_sandmill_plugin_handler

import (
	types "sandmill/internal/bindings/sandmill_plugin_types"
	witTypes "sandmill/internal/wit/types"
)

var (
	Describe func() types.Manifest
	Process  func(types.Item, types.Context) witTypes.Result[types.Outcome, types.Failure]
)
