package faults_test

import (
	"testing"

	"warren/internal/rig/rigtest"
)

func TestMain(m *testing.M) { rigtest.Main(m) }
